import type { ApprovalOutcome } from './contracts/approval';
import { jsonBytes } from './contracts/json';
import type { TaskReport } from './contracts/messages';
import { inlineLimitBytes } from './contracts/plan';
import { attemptFailed, attemptSucceeded } from './plan-outcome';
import { compensationReported } from './plan-ending';
import { definitionOf, enter, type PlanRun, tellToStop } from './plan-state';

const longestName = 100;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** The reports in what a signal brought: whoever may reach Temporal can send one, and a throw would park the plan. */
export const readReports = (batch: unknown): readonly TaskReport[] =>
  Array.isArray(batch) ? batch.filter(isReport) : [];

function isReport(value: unknown): value is TaskReport {
  if (!isRecord(value)) return false;
  const { planId, taskId, agent, attempt, kind, output, failure, retryable } = value;
  if (typeof planId !== 'string' || typeof taskId !== 'string') return false;
  if (typeof agent !== 'string' || agent.length > longestName) return false;
  if (typeof attempt !== 'number') return false;
  if (kind === 'succeeded') return output !== undefined;
  if (kind === 'failed')
    return (
      typeof retryable === 'boolean' &&
      isRecord(failure) &&
      typeof failure['type'] === 'string' &&
      typeof failure['message'] === 'string'
    );
  return kind === 'started' || kind === 'lost';
}

/** The outcome in what a signal brought, likewise. */
export const readOutcomes = (value: unknown): readonly ApprovalOutcome[] => (isOutcome(value) ? [value] : []);

const isOutcome = (value: unknown): value is ApprovalOutcome =>
  isRecord(value) &&
  typeof value['approvalId'] === 'string' &&
  typeof value['digest'] === 'string' &&
  ['approved', 'rejected', 'expired', 'withdrawn'].includes(String(value['status'])) &&
  ['decidedBy', 'reason'].every((key) => value[key] === undefined || typeof value[key] === 'string') &&
  (value['subject'] === undefined || isRecord(value['subject']));

/** What comes in is kept, told and stored: nothing in it is larger than it may be. */
function bounded(report: TaskReport): TaskReport {
  if (report.kind === 'failed') {
    const { type, message } = report.failure;
    return { ...report, failure: { type: type.slice(0, longestName), message: message.slice(0, 1000) } };
  }
  if (report.kind !== 'succeeded') return report;
  const bytes = jsonBytes(report.output);
  if (bytes <= inlineLimitBytes) return report;
  const { planId, taskId, attempt, agent, at } = report;
  const message = `the result has ${bytes} bytes; more than ${inlineLimitBytes} travel as an artifact`;
  return {
    ...{ planId, taskId, attempt, agent, at },
    kind: 'failed',
    failure: { type: 'OutputInvalid', message },
    retryable: true,
  };
}

const mostEarly = 5000;

/** The last word of an attempt is worth more than that it began. */
function keepEarly(run: PlanRun, report: TaskReport): void {
  // An item may come to be; a task that is not in the plan never does.
  if (report.taskId.length > longestName || !run.tasks.has(report.taskId.split('.')[0] ?? '')) return;
  const known = run.early.get(report.taskId);
  if (known ? known.kind !== 'started' : run.early.size >= mostEarly) return;
  run.early.set(report.taskId, report);
}

/** Applies what came before its attempt was sent; true when there was something. */
export function applyEarly(run: PlanRun, now: number): boolean {
  if (run.early.size === 0) return false;
  const due = run.effects.dispatches.flatMap(({ taskId, attempt }) => {
    const report = run.early.get(taskId);
    return report?.attempt === attempt ? [report] : [];
  });
  for (const report of due) {
    run.early.delete(report.taskId);
    applyReport(run, report, now);
  }
  return due.length > 0;
}

/** Applies one report; of a stale or repeated attempt, of an unknown task, or after the end it changes nothing. */
export function applyReport(run: PlanRun, given: TaskReport, now: number): void {
  const report = bounded(given);
  const task = run.tasks.get(report.taskId);
  if (report.planId === run.planId && report.attempt === (task?.attempt ?? 0) + 1) {
    keepEarly(run, report);
    return;
  }
  // A forEach as a whole is never sent to an agent; its items are.
  if (
    task?.attempt !== report.attempt ||
    report.planId !== run.planId ||
    (task.parent === undefined && task.items !== undefined)
  )
    return;
  if (task.state === 'compensating') {
    compensationReported(run, task, report, now);
    return;
  }
  if (task.state !== 'dispatched' && task.state !== 'running') return;
  if (report.kind === 'progress') return;
  if (task.state === 'dispatched') {
    // An end may overtake its beginning on a shuffled bus: the task has begun in any case.
    task.agent = report.agent;
    task.startedAt = now;
    task.timeoutAt = now + definitionOf(run, task).timeoutMs;
    enter(run, task, 'running', now);
  }
  switch (report.kind) {
    case 'started':
      return;
    case 'succeeded':
      attemptSucceeded(run, task, report.output, now);
      return;
    case 'failed':
      attemptFailed(run, task, report.failure, report.retryable, now);
      return;
    case 'lost':
      tellToStop(run, task);
      attemptFailed(
        run,
        task,
        { type: 'AgentLost', message: `${task.agent ?? 'the agent'} was not heard of any more` },
        true,
        now,
      );
  }
}
