import { jsonBytes } from './contracts/json';
import type { TaskReport } from './contracts/messages';
import type { CompensationDefinition } from './contracts/plan-definition';
import type { TaskFailure } from './contracts/plan';
import { ExpressionFailure, evaluateMap, evaluateValue, tasksReadBy } from './expressions';
import { resultLimitBytes } from './contracts/plan';
import { artifactsIn } from './json-schema';
import { limited, noteUsed } from './plan-arguments';
import { mostUnderWay } from './plan-dispatch';
import { backOff, closeAttempt, mayRetry, settle, toBeApproved } from './plan-outcome';
import { recall } from './plan-results';
import { scopeFor } from './plan-scope';
import { closeGate } from './plan-gates';
import { isTurnOver } from './plan-turn';
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
    if (task.state === 'dispatched') closeAttempt(run, task, { state: 'cancelled' }, now);
    enter(run, task, 'cancelled', now);
    task.reason = run.state === 'cancelling' ? 'the plan was cancelled' : 'the plan failed';
    if (!isFanOut) settle(run, task, now);
  }
  run.ready.length = 0;
  run.held.length = 0;
  run.queue.length = 0;
}

/** Goes on with the end of a failing or cancelled plan: compensation in reverse of the edges, then the end itself. */
export function advanceEnding(run: PlanRun, now: number, sends: boolean): void {
  if ([...run.active].some((id) => taskOf(run, id).state !== 'compensating')) return;
  if (run.compensating.size === 0) beginCompensation(run);
  compensate(run, now, sends);
  if (run.turns.length > 0) return;
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
function beginCompensation(run: PlanRun): void {
  for (const { id } of run.plan.tasks) {
    const followers = (run.dependents.get(id) ?? []).length;
    run.compensating.set(id, followers);
    if (followers === 0) run.turns.push(id);
  }
}

/** Undoes the tasks whose turn it is; when one is undone, it may be the turn of those that it waited for. */
function compensate(run: PlanRun, now: number, sends: boolean): void {
  let underWay = [...run.active].filter((id) => taskOf(run, id).compensation?.underWay).length;
  const stays: string[] = [];
  for (const id of run.turns) {
    const task = taskOf(run, id);
    const targets = runsOf(run, task);
    for (const target of targets) if (needsCompensation(run, target) && !target.compensation) undo(run, target, now);
    for (const target of targets) {
      if (target.compensation?.underWay !== false || target.state !== 'compensating') continue;
      if (target.wakeAt !== undefined || underWay >= mostUnderWay) continue;
      // A run that is about to end sends nothing, but what an agent has answered already.
      if (!sends && run.early.get(target.id)?.attempt !== target.attempt + 1) continue;
      if (dispatchCompensation(run, target, now)) underWay += 1;
    }
    if (targets.some(({ state }) => state === 'compensating')) stays.push(id);
    else {
      const { needs, after } = definitionOf(run, task);
      settleUndone(run, task, now);
      for (const before of [...needs, ...after]) {
        const left = (run.compensating.get(before) ?? 1) - 1;
        run.compensating.set(before, left);
        // To the end of the list that is being gone through: not by recursion, for a chain may have 10,000 links.
        if (left === 0) run.turns.push(before);
      }
    }
  }
  run.turns = stays;
}

function undo(run: PlanRun, target: TaskRun, now: number): void {
  target.compensation = { tries: 0, underWay: false };
  delete target.stopping;
  enter(run, target, 'compensating', now);
  const parent = target.parent === undefined ? undefined : taskOf(run, target.parent);
  if (parent && parent.state !== 'compensating') enter(run, parent, 'compensating', now);
}

/** A forEach shows what became of its items. */
function settleUndone(run: PlanRun, task: TaskRun, now: number): void {
  if (task.state !== 'compensating') return;
  const failed = runsOf(run, task).some(({ state }) => state === 'compensationFailed');
  enter(run, task, failed ? 'compensationFailed' : 'compensated', now);
}

/** False when it waits for the next turn, for results that are being fetched, or cannot be evaluated and has ended. */
function dispatchCompensation(run: PlanRun, task: TaskRun, now: number): boolean {
  const definition = compensationOf(run, task);
  try {
    if (isTurnOver(run) || !recall(run, [...tasksReadBy([definition.with]), topOf(task)])) return false;
    const output = task.output ?? null;
    const args = limited(evaluateMap(definition.with, scopeFor(run, task, [definition.with], { output })));
    task.attempt += 1;
    task.compensation = { tries: (task.compensation?.tries ?? 0) + 1, underWay: true };
    task.dispatchedAt = now;
    delete task.startedAt;
    delete task.agent;
    task.timeoutAt = now + definition.timeoutMs;
    noteUsed(task, args);
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
    return true;
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    endCompensation(run, task, { type: 'ExpressionFailed', message: error.message }, now);
    return false;
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
      run.dirty.add(task.id);
      return;
    case 'succeeded':
      closeAttempt(run, task, { state: 'succeeded', produced: artifactsIn(report.output) }, now);
      endCompensation(run, task, undefined, now);
      return;
    case 'failed':
      compensationFailed(run, task, report.failure, report.retryable, now);
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
  closeAttempt(run, task, { state: 'failed', failure }, now);
  const { retry } = compensationOf(run, task);
  if (!mayRetry(retry, task.compensation.tries, failure, retryable)) {
    endCompensation(run, task, failure, now);
    return;
  }
  task.compensation = { ...task.compensation, underWay: false };
  delete task.timeoutAt;
  task.wakeAt = now + backOff(retry, task.compensation.tries, `${run.planId}/${task.id}/${task.attempt}`);
}

function endCompensation(run: PlanRun, task: TaskRun, failure: TaskFailure | undefined, now: number): void {
  if (task.compensation) task.compensation = { ...task.compensation, underWay: false };
  // One that fails for good does not stop the others.
  if (failure) task.failure = failure;
  enter(run, task, failure ? 'compensationFailed' : 'compensated', now);
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
    const bytes = jsonBytes(result);
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
