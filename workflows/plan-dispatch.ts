import { ExpressionFailure, expressionsIn } from './expressions';
import { argumentsOf, describe, fillAnswer, readsAnswerIn } from './plan-arguments';
import { fail, succeed, toBeApproved } from './plan-outcome';
import { recall } from './plan-results';
import { definitionOf, enter, type PlanRun, runsOf, type TaskRun, taskOf, topOf } from './plan-state';
import { isTurnOver } from './plan-turn';

/**
 * All that agents have may come back before the run can end: 2,000 results of 4 KiB are 8 MiB of history, which together
 * with what the run stores and fetches stays below 50 MiB.
 */
export const mostUnderWay = 2000;

/**
 * Puts as many tasks under way as the limits allow, in the order in which they came; with `sends` off only those that
 * an agent has answered already.
 */
export function dispatch(run: PlanRun, now: number, sends: boolean): void {
  const limit = Math.min(run.plan.maxParallel ?? Infinity, mostUnderWay);
  const line = run.queue.splice(0);
  for (const id of line) {
    const task = run.tasks.get(id);
    if (task?.state !== 'queued') continue;
    // What does not fit, or waits for results that are being fetched, keeps its place.
    if (run.underWay >= limit || run.state !== 'running' || !start(run, task, now, sends)) run.queue.push(id);
  }
  for (const id of [...run.active]) {
    if (run.underWay >= limit || run.state !== 'running') return;
    const parent = taskOf(run, id);
    if (parent.items !== undefined && parent.state !== 'waiting') dispatchItems(run, parent, limit, now, sends);
  }
}

function dispatchItems(run: PlanRun, parent: TaskRun, limit: number, now: number, sends: boolean): void {
  const ids = run.items.get(parent.id) ?? [];
  if (parent.state === 'queued') {
    try {
      if (!fillAnswers(run, parent, runsOf(run, parent))) return;
    } catch (error) {
      if (!(error instanceof ExpressionFailure)) throw error;
      fail(run, parent, { type: 'ExpressionFailed', message: error.message }, now);
      return;
    }
    enter(run, parent, 'dispatched', now);
    parent.startedAt = now;
    enter(run, parent, 'running', now);
    if (ids.length === 0) {
      if (definitionOf(run, parent).approval?.at === 'after') parent.reason = toBeApproved;
      else succeed(run, parent, now);
      return;
    }
  }
  const most = definitionOf(run, parent).forEach?.maxParallel ?? Infinity;
  let underWay = most === Infinity ? 0 : ids.filter((id) => isUnderWay(taskOf(run, id))).length;
  while (
    parent.state === 'running' &&
    (parent.nextItem ?? 0) < ids.length &&
    run.underWay < limit &&
    underWay < most &&
    run.state === 'running'
  ) {
    const item = taskOf(run, ids[parent.nextItem ?? 0] ?? '');
    if (item.state === 'queued' && !start(run, item, now, sends)) return;
    parent.nextItem = (parent.nextItem ?? 0) + 1;
    if (isUnderWay(item)) underWay += 1;
  }
}

// One that pauses between attempts keeps its place among those that run side by side.
const isUnderWay = ({ state }: TaskRun): boolean =>
  state === 'dispatched' || state === 'running' || state === 'retrying';

/** False when it must not be sent in this turn, or results that it reads must be fetched first. A task that cannot be evaluated fails. */
function start(run: PlanRun, task: TaskRun, now: number, sends: boolean): boolean {
  if (!sends && run.early.get(task.id)?.attempt !== task.attempt + 1) return false;
  try {
    const isFirst = task.tries === 0;
    const evaluates = !task.arguments || (isFirst && expressionsIn(definitionOf(run, task).title).length > 0);
    if (isTurnOver(run) || (evaluates && !hasRead(run, task))) return false;
    if (isFirst && task.parent === undefined && !fillAnswers(run, task, [task])) return false;
    const args = argumentsOf(run, task);
    if (isFirst) describe(run, task, args);
    send(run, task, args, now);
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    fail(run, task, { type: 'ExpressionFailed', message: error.message }, now);
  }
  return true;
}

/** False while results that its expressions read are being fetched. */
const hasRead = (run: PlanRun, task: TaskRun): boolean => recall(run, run.reads.get(topOf(task)) ?? []);

/**
 * Fills in what comes from people's answer, in a task or in all its items before the first of them is sent. False while
 * results that it reads are being fetched: they may have been stored while people were asked. Throws ExpressionFailure.
 */
function fillAnswers(run: PlanRun, task: TaskRun, all: readonly TaskRun[]): boolean {
  const definition = definitionOf(run, task);
  if (definition.approval?.at !== 'before' || !readsAnswerIn(definition.with)) return true;
  if (!hasRead(run, task)) return false;
  for (const one of all) fillAnswer(run, one);
  return true;
}

function send(run: PlanRun, task: TaskRun, args: NonNullable<TaskRun['arguments']>, now: number): void {
  const definition = definitionOf(run, task);
  const approval = definition.approval?.at === 'before' ? decisionOf(run, task) : undefined;
  task.attempt += 1;
  task.tries += 1;
  task.everDispatched = true;
  task.dispatchedAt = now;
  delete task.startedAt;
  delete task.agent;
  delete task.failure;
  enter(run, task, 'dispatched', now);
  run.effects.dispatches.push({
    planId: run.planId,
    taskId: task.id,
    attempt: task.attempt,
    capability: definition.capability,
    title: task.title ?? definition.title,
    arguments: args,
    ...(Object.keys(definition.secrets).length > 0 && { secrets: definition.secrets }),
    ...(definition.output && { outputSchema: definition.output }),
    timeoutMs: definition.timeoutMs,
    heartbeatMs: definition.heartbeatMs,
    ...(approval && { approval }),
    owner: run.owner,
  });
}

/** The activity that sends it looks at this once more: a gate that is open lets nothing through, whatever the engine thinks. */
const decisionOf = (run: PlanRun, task: TaskRun): NonNullable<TaskRun['decision']> =>
  taskOf(run, topOf(task)).decision ?? { approvalId: '', digest: '', status: 'open' };
