import type { TaskReport } from './contracts/messages';
import { attemptFailed, attemptSucceeded } from './plan-outcome';
import { compensationReported } from './plan-ending';
import { definitionOf, enter, type PlanRun } from './plan-state';

/** Applies one report; of a stale or repeated attempt, of an unknown task, or after the end it changes nothing. */
export function applyReport(run: PlanRun, report: TaskReport, now: number): void {
  const task = run.tasks.get(report.taskId);
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
      attemptFailed(
        run,
        task,
        { type: report.failure.type, message: report.failure.message.slice(0, 1000) },
        report.retryable,
        now,
      );
      return;
    case 'lost':
      attemptFailed(
        run,
        task,
        { type: 'AgentLost', message: `${task.agent ?? 'the agent'} was not heard of any more` },
        true,
        now,
      );
  }
}
