import type { TaskReport } from './contracts/messages';
import type { CompensationDefinition } from './contracts/plan-definition';
import type { TaskFailure } from './contracts/plan';
import { ExpressionFailure, evaluateMap, evaluateValue, tasksReadBy } from './expressions';
import { resultLimitBytes } from './contracts/plan';
import { limited } from './plan-arguments';
import { backOff, closeAttempt, mayRetry, settle, toBeApproved } from './plan-outcome';
import { recall } from './plan-results';
import { scopeFor } from './plan-scope';
import { closeGate } from './plan-gates';
import {
  definitionOf,
  enter,
  enterPlan,
  isEnded,
  type PlanRun,
  runsOf,
  type TaskRun,
  taskOf,
  tellToStop,
  topOf,
} from './plan-state';

/** Nothing starts any more: what has not begun is cancelled, agents are told to stop, open requests are withdrawn. */
export function stopEverything(run: PlanRun, now: number): void {
  for (const task of [...run.tasks.values()]) {
    if (isEnded(task) || task.stopping || task.state === 'compensating') continue;
    const isFanOut = task.parent === undefined && task.items !== undefined;
    if (task.gate) {
      run.effects.withdrawals.push(task.gate.approvalId);
      closeGate(run, task, now);
    }
    if ((task.state === 'running' || task.state === 'dispatched') && !isFanOut) tellToStop(run, task);
    // A result that was waiting to be shown to people is not waited for.
    const isReported = task.reason === toBeApproved;
    if (task.state === 'running' && !isReported) {
      // Waited for, at most for its timeout.
      task.stopping = true;
      run.dirty.add(task.id);
      continue;
    }
    if (task.state === 'dispatched') closeAttempt(task, 'cancelled', now);
    enter(run, task, 'cancelled', now);
    task.reason = run.state === 'cancelling' ? 'the plan was cancelled' : 'the plan failed';
    if (!isFanOut) settle(run, task, now);
  }
  run.ready.length = 0;
  run.held.length = 0;
  run.queue.length = 0;
}

/** Goes on with the end of a failing or cancelled plan: compensation in reverse of the edges, then the end itself. */
export function advanceEnding(run: PlanRun, now: number): void {
  if ([...run.active].some((id) => taskOf(run, id).state !== 'compensating')) return;
  if (run.compensating.size === 0) beginCompensation(run, now);
  // Those that waited for results to be fetched.
  for (const id of [...run.active]) {
    const task = taskOf(run, id);
    if (task.compensation?.underWay === false && task.wakeAt === undefined) dispatchCompensation(run, task, now);
  }
  if ([...run.active].length > 0) return;
  if ([...run.tasks.values()].some((task) => needsCompensation(run, task) && !task.compensation)) return;
  const compensated = [...run.tasks.values()].filter(({ compensation }) => compensation !== undefined);
  run.compensation =
    compensated.length === 0
      ? 'none'
      : compensated.some(({ state }) => state === 'compensationFailed')
        ? 'incomplete'
        : 'done';
  run.endedAt = now;
  enterPlan(run, run.state === 'cancelling' ? 'cancelled' : 'failed');
}

const needsCompensation = (run: PlanRun, task: TaskRun): boolean =>
  task.everDispatched === true &&
  definitionOf(run, task).compensation !== undefined &&
  isEnded(task) &&
  task.state !== 'skipped';

/** Counts, for each task, how many of those after it are not undone yet; with none left it is its turn. */
function beginCompensation(run: PlanRun, now: number): void {
  for (const { id } of run.plan.tasks) run.compensating.set(id, (run.dependents.get(id) ?? []).length);
  run.compensating.set('', 0); // begun, even when there is no task to count
  for (const { id } of run.plan.tasks) if (run.compensating.get(id) === 0) undo(run, taskOf(run, id), now);
}

function undo(run: PlanRun, task: TaskRun, now: number): void {
  const targets = runsOf(run, task).filter((one) => needsCompensation(run, one) && !one.compensation);
  for (const target of targets) {
    target.compensation = { tries: 0, underWay: false };
    delete target.stopping;
    enter(run, target, 'compensating', now);
    dispatchCompensation(run, target, now);
  }
  undone(run, task, now);
}

/** When all runs of a task are undone, those that it waited for may be. */
function undone(run: PlanRun, task: TaskRun, now: number): void {
  if (runsOf(run, task).some(({ state }) => state === 'compensating')) return;
  if (run.compensating.get(task.id) !== 0) return;
  run.compensating.set(task.id, -1);
  const { needs, after } = definitionOf(run, task);
  for (const id of [...needs, ...after]) {
    const left = (run.compensating.get(id) ?? 1) - 1;
    run.compensating.set(id, left);
    if (left === 0) undo(run, taskOf(run, id), now);
  }
}

function dispatchCompensation(run: PlanRun, task: TaskRun, now: number): void {
  const definition = compensationOf(run, task);
  if (!task.compensation) return;
  try {
    if (!recall(run, [...tasksReadBy([definition.with]), topOf(task)])) return;
    const output = task.output ?? null;
    const args = limited(evaluateMap(definition.with, scopeFor(run, task, [definition.with], { output })));
    task.attempt += 1;
    task.compensation = { tries: task.compensation.tries + 1, underWay: true };
    task.dispatchedAt = now;
    delete task.startedAt;
    delete task.agent;
    task.timeoutAt = now + definition.timeoutMs;
    run.effects.dispatches.push({
      planId: run.planId,
      taskId: task.id,
      attempt: task.attempt,
      capability: definition.capability,
      title: `Undo ${task.title ?? task.id}`,
      arguments: args,
      ...(Object.keys(definition.secrets).length > 0 && { secrets: definition.secrets }),
      timeoutMs: definition.timeoutMs,
      heartbeatMs: definition.heartbeatMs,
      compensating: true,
      owner: run.owner,
    });
    run.dirty.add(task.id);
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    endCompensation(run, task, { type: 'ExpressionFailed', message: error.message }, now);
  }
}

export function compensationReported(run: PlanRun, task: TaskRun, report: TaskReport, now: number): void {
  if (!task.compensation?.underWay) return;
  switch (report.kind) {
    case 'progress':
      return;
    case 'started':
      task.agent = report.agent;
      task.startedAt = now;
      task.timeoutAt = now + compensationOf(run, task).timeoutMs;
      return;
    case 'succeeded':
      closeAttempt(task, 'succeeded', now);
      endCompensation(run, task, undefined, now);
      return;
    case 'failed':
      compensationFailed(
        run,
        task,
        { type: report.failure.type.slice(0, 100), message: report.failure.message.slice(0, 1000) },
        report.retryable,
        now,
      );
      return;
    case 'lost':
      tellToStop(run, task);
      compensationFailed(
        run,
        task,
        { type: 'AgentLost', message: `${task.agent ?? 'the agent'} was not heard of any more` },
        true,
        now,
      );
  }
}

export function compensationFailed(
  run: PlanRun,
  task: TaskRun,
  failure: TaskFailure,
  retryable: boolean,
  now: number,
): void {
  if (!task.compensation) return;
  closeAttempt(task, 'failed', now, failure);
  const { retry } = compensationOf(run, task);
  if (!mayRetry(retry, task.compensation.tries, failure, retryable)) {
    endCompensation(run, task, failure, now);
    return;
  }
  task.compensation = { ...task.compensation, underWay: false };
  delete task.timeoutAt;
  task.wakeAt = now + backOff(retry, task.compensation.tries, `${run.planId}/${task.id}/${task.attempt}`);
}

/** A pause between two tries is over. */
export function retryCompensation(run: PlanRun, task: TaskRun, now: number): void {
  delete task.wakeAt;
  dispatchCompensation(run, task, now);
}

function endCompensation(run: PlanRun, task: TaskRun, failure: TaskFailure | undefined, now: number): void {
  if (task.compensation) task.compensation = { ...task.compensation, underWay: false };
  // One that fails for good does not stop the others.
  if (failure) task.failure = failure;
  enter(run, task, failure ? 'compensationFailed' : 'compensated', now);
  undone(run, task.parent === undefined ? task : taskOf(run, task.parent), now);
}

export function compensationOf(run: PlanRun, task: TaskRun): CompensationDefinition {
  const { compensation } = definitionOf(run, task);
  if (!compensation) throw new Error(`task ${task.id} has no compensation`);
  return compensation;
}

/** All tasks have ended well enough: the plan's result is evaluated; a result that cannot be is said, and no failure. */
export function completePlan(run: PlanRun, now: number): void {
  try {
    if (!recall(run, tasksReadBy([run.plan.result]))) return;
    const result = evaluateValue(run.plan.result, scopeFor(run, undefined, [run.plan.result]));
    const bytes = JSON.stringify(result).length;
    if (bytes > resultLimitBytes)
      throw new ExpressionFailure(
        `the result has ${bytes} bytes, more than ${resultLimitBytes}; give it as an artifact`,
      );
    run.result = result;
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    run.result = null;
    run.resultProblem = error.message;
  }
  run.endedAt = now;
  enterPlan(run, 'succeeded');
}
