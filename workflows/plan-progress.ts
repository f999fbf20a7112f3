import type { Json } from './contracts/json';
import { inlineLimitBytes } from './contracts/plan';
import { ExpressionFailure, evaluateExpression, stepsTaken } from './expressions';
import { soleExpression } from './expression-text';
import { isArtifactReference } from './json-schema';
import { proposeArguments } from './plan-arguments';
import { dispatch } from './plan-dispatch';
import { advanceEnding, completePlan, stopEverything } from './plan-ending';
import { hasRoomForGate, openGate } from './plan-gates';
import { fail, settle, toBeApproved } from './plan-outcome';
import { dropResults, recall } from './plan-results';
import { applyEarly } from './plan-reports';
import { scopeFor } from './plan-scope';
import { definitionOf, enter, isEnded, type PlanRun, type TaskRun, taskOf } from './plan-state';
import { keepStill, passTime } from './plan-time';
import { beginTurn, isTurnOver, mostStepsOfTurn } from './plan-turn';

/**
 * Does everything that can be done now; afterwards `run.effects` says what the world must be told. Idempotent. A run
 * that is about to end sends nothing new, so that what comes back dries up. When expressions took long, the rest waits
 * for another turn and `run.goesOn` says so.
 */
export function advance(run: PlanRun, now: number, sends = true): void {
  beginTurn(run);
  passTime(run, now);
  do {
    if (run.state === 'running') beginAll(run, now);
    if (run.state === 'running') openGatesAfter(run, now);
    if (run.state === 'running') dispatch(run, now, sends);
    if (run.state === 'failing' || run.state === 'cancelling') {
      stopEverything(run, now);
      advanceEnding(run, now, sends);
    }
    // What ended at once, unsent or already answered, may have made others ready.
  } while (applyEarly(run, now) || (run.state === 'running' && run.ready.length > 0));
  dropAnswered(run);
  const isDone = run.state === 'running' && run.active.size === 0 && [...run.tasks.values()].every(isEnded);
  if (isDone) completePlan(run, now);
  keepStill(run, now);
  dropResults(run);
}

/** What was answered before it left need not leave any more. */
function dropAnswered(run: PlanRun): void {
  const isOpen = ({ taskId, attempt }: { readonly taskId: string; readonly attempt: number }): boolean => {
    const task = run.tasks.get(taskId);
    return task?.attempt === attempt && (task.state === 'dispatched' || task.compensation?.underWay === true);
  };
  run.effects.dispatches = run.effects.dispatches.filter(isOpen);
}

function beginAll(run: PlanRun, now: number): void {
  const waiting: string[] = [];
  // Beginning one may make more ready: they come to the end of the same list.
  for (let at = 0; at < run.ready.length && run.state === 'running'; at++) {
    const task = taskOf(run, run.ready[at] ?? '');
    if (task.state !== 'pending' || run.open.get(task.id) !== 0) continue;
    if (!begin(run, task, now)) waiting.push(task.id);
  }
  run.ready.length = 0;
  run.held.push(...waiting);
}

/**
 * A task whose needs and afters have all ended: skipped, asked about, or put in line. False when it has to wait, for
 * results that are being fetched, for the next turn, or because too many gates are open.
 */
function begin(run: PlanRun, task: TaskRun, now: number): boolean {
  const definition = definitionOf(run, task);
  const unmet = definition.needs.find((id) => taskOf(run, id).state !== 'succeeded');
  if (unmet !== undefined) {
    const skipped = taskOf(run, unmet).state === 'skipped';
    skip(run, task, `needs ${unmet}, which ${skipped ? 'was skipped' : 'did not succeed'}`, now);
    return true;
  }
  const isGated = definition.approval?.at === 'before';
  try {
    const evaluatesNow = definition.when !== undefined || definition.forEach !== undefined || isGated;
    if (evaluatesNow && (isTurnOver(run) || !recall(run, run.reads.get(task.id) ?? []))) return false;
    if (definition.when !== undefined) {
      const scope = scopeFor(run, undefined, [definition.when]);
      const when = evaluateExpression(soleExpression(definition.when) ?? '', scope);
      if (typeof when !== 'boolean') throw new ExpressionFailure('when gave neither true nor false');
      if (!when) {
        skip(run, task, 'its condition is false', now);
        return true;
      }
    }
    if (isGated && !hasRoomForGate(run)) return false;
    task.readyAt = now;
    if (definition.deadlineMs !== undefined) task.deadlineAt = now + definition.deadlineMs;
    if (definition.forEach) expand(run, task, now);
    else if (definition.approval && isGated) {
      proposeArguments(run, task);
      openGate(run, task, definition.approval, now);
    } else {
      enter(run, task, 'queued', now);
      run.queue.push(task.id);
    }
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    fail(run, task, { type: 'ExpressionFailed', message: error.message }, now);
  }
  return true;
}

function skip(run: PlanRun, task: TaskRun, reason: string, now: number): void {
  task.reason = reason;
  enter(run, task, 'skipped', now);
  settle(run, task, now);
}

/** Of all that run over lists in one plan, beside the tasks that are written out. */
const mostItems = 10_000;

/** One item for each element of the list. */
function expand(run: PlanRun, task: TaskRun, now: number): void {
  const { forEach, approval } = definitionOf(run, task);
  if (!forEach) return;
  const list = evaluateExpression(soleExpression(forEach.in) ?? '', scopeFor(run, undefined, [forEach.in]));
  if (isArtifactReference(list))
    throw new ExpressionFailure(
      `forEach.in gave an artifact: a list of more than ${inlineLimitBytes} bytes travels as one, and its elements cannot be seen`,
    );
  if (!Array.isArray(list)) throw new ExpressionFailure('forEach.in gave no list');
  const elements = list as readonly Json[];
  const items = run.tasks.size - run.plan.tasks.length + elements.length;
  if (elements.length > forEach.maxItems || items > mostItems) {
    const message =
      elements.length > forEach.maxItems
        ? `the list has ${elements.length} items, more than ${forEach.maxItems}`
        : `the plan would have ${items} items, more than ${mostItems}`;
    fail(run, task, { type: 'TooManyItems', message }, now);
    return;
  }
  task.items = elements.length;
  task.nextItem = 0;
  run.itemsLeft.set(task.id, { open: elements.length, failed: 0 });
  const made = elements.map((item, index): TaskRun => ({
    id: `${task.id}.${index}`,
    of: task.of,
    parent: task.id,
    index,
    item,
    state: 'pending',
    attempt: task.attempt,
    tries: 0,
    round: 0,
    readyAt: now,
    attempts: [],
  }));
  for (const item of made) {
    run.tasks.set(item.id, item);
    run.dirty.add(item.id);
  }
  run.items.set(
    task.id,
    made.map(({ id }) => id),
  );
  if (approval?.at === 'before') {
    const begun = stepsTaken();
    for (const item of made) {
      if (stepsTaken() - begun > mostStepsOfTurn)
        throw new ExpressionFailure(
          `what people are to see of its items takes more than ${mostStepsOfTurn} steps; do a part of it in a task`,
        );
      proposeArguments(run, item);
    }
    openGate(run, task, approval, now);
  } else {
    enter(run, task, 'queued', now);
    for (const item of made) enter(run, item, 'queued', now);
  }
}

/** Results that are good but need a person's word. */
function openGatesAfter(run: PlanRun, now: number): void {
  for (const id of [...run.active]) {
    const task = taskOf(run, id);
    const { approval } = definitionOf(run, task);
    if (task.parent !== undefined || task.state !== 'running' || task.reason !== toBeApproved || !approval) continue;
    if (!hasRoomForGate(run) || isTurnOver(run)) return;
    try {
      if (recall(run, [...(run.reads.get(id) ?? []), id])) openGate(run, task, approval, now);
    } catch (error) {
      if (!(error instanceof ExpressionFailure)) throw error;
      fail(run, task, { type: 'ExpressionFailed', message: error.message }, now);
    }
  }
}
