import type { Json } from './contracts/json';
import { argumentsLimitBytes } from './contracts/plan';
import { ExpressionFailure, evaluateExpression, evaluateMap, evaluateToText } from './expressions';
import { soleExpression } from './expression-text';
import { artifactsIn } from './json-schema';
import { advanceEnding, compensationFailed, completePlan, retryCompensation, stopEverything } from './plan-ending';
import { openGate } from './plan-gates';
import { attemptFailed, closeAttempt, fail, settle, succeed } from './plan-outcome';
import { dropResults, scopeFor } from './plan-scope';
import { definitionOf, enter, enterPlan, isEnded, type PlanRun, type TaskRun, taskOf } from './plan-state';

/** Does everything that can be done now; afterwards `run.effects` says what the world must be told. Idempotent. */
export function advance(run: PlanRun, now: number): void {
  passTime(run, now);
  if (run.state === 'running') {
    while (run.ready.length > 0 && run.state === 'running') begin(run, taskOf(run, run.ready.shift() ?? ''), now);
    openGatesAfter(run, now);
    if (run.state === 'running') dispatch(run, now);
  }
  if (run.state === 'failing' || run.state === 'cancelling') {
    stopEverything(run, now);
    advanceEnding(run, now);
  } else if (
    run.state === 'running' &&
    run.active.size === 0 &&
    run.ready.length === 0 &&
    [...run.tasks.values()].every(isEnded)
  )
    completePlan(run, now);
  keepStill(run, now);
  dropResults(run);
}

/** The next moment at which something happens by itself; undefined when only the world can bring news. */
export function nextWake(run: PlanRun): number | undefined {
  let earliest =
    run.stillSince === undefined && (run.state === 'running' || run.state === 'paused')
      ? (run.deadlineAt ?? Infinity)
      : Infinity;
  for (const id of run.active) {
    const task = taskOf(run, id);
    earliest = Math.min(
      earliest,
      task.wakeAt ?? Infinity,
      task.timeoutAt ?? Infinity,
      task.waitingSince === undefined ? (task.deadlineAt ?? Infinity) : Infinity,
    );
  }
  return earliest === Infinity ? undefined : earliest;
}

function passTime(run: PlanRun, now: number): void {
  if (
    run.deadlineAt !== undefined &&
    run.stillSince === undefined &&
    now >= run.deadlineAt &&
    (run.state === 'running' || run.state === 'paused')
  ) {
    run.failure = { type: 'DeadlineExceeded', message: 'the plan was not done in time' };
    enterPlan(run, 'failing');
  }
  for (const id of [...run.active]) {
    const task = taskOf(run, id);
    if (isEnded(task)) continue;
    if (task.wakeAt !== undefined && now >= task.wakeAt) {
      delete task.wakeAt;
      if (task.state === 'compensating') retryCompensation(run, task, now);
      else {
        enter(run, task, 'queued', now);
        run.queue.push(task.id);
      }
    } else if (task.timeoutAt !== undefined && now >= task.timeoutAt) {
      run.effects.cancels.push({ planId: run.planId, taskId: task.id, attempt: task.attempt });
      const failure = {
        type: 'Timeout',
        message: `attempt ${task.attempt} took longer than ${definitionOf(run, task).timeoutMs / 1000} s`,
      };
      if (task.state === 'compensating') compensationFailed(run, task, failure, true, now);
      else attemptFailed(run, task, failure, true, now);
    } else if (task.deadlineAt !== undefined && task.waitingSince === undefined && now >= task.deadlineAt) {
      if (task.state === 'dispatched' || task.state === 'running') {
        run.effects.cancels.push({ planId: run.planId, taskId: task.id, attempt: task.attempt });
        closeAttempt(task, 'failed', now);
      }
      run.queue.splice(0, run.queue.length, ...run.queue.filter((one) => one !== task.id));
      fail(
        run,
        task,
        {
          type: 'DeadlineExceeded',
          message: `the task was not done in ${(definitionOf(run, task).deadlineMs ?? 0) / 1000} s`,
        },
        now,
      );
    }
  }
}

/** A task whose needs and afters have all ended: skipped, asked about, or put in line. */
function begin(run: PlanRun, task: TaskRun, now: number): void {
  if (task.state !== 'pending') return;
  const definition = definitionOf(run, task);
  const unmet = definition.needs.find((id) => taskOf(run, id).state !== 'succeeded');
  if (unmet !== undefined) {
    skip(
      run,
      task,
      `needs ${unmet}, which ${taskOf(run, unmet).state === 'skipped' ? 'was skipped' : 'did not succeed'}`,
      now,
    );
    return;
  }
  try {
    if (definition.when !== undefined) {
      const when = evaluateExpression(
        soleExpression(definition.when) ?? '',
        scopeFor(run, undefined, [definition.when]),
      );
      if (typeof when !== 'boolean') throw new ExpressionFailure('when gave neither true nor false');
      if (!when) {
        skip(run, task, 'its condition is false', now);
        return;
      }
    }
    task.readyAt = now;
    if (definition.deadlineMs !== undefined) task.deadlineAt = now + definition.deadlineMs;
    if (definition.forEach) expand(run, task, now);
    else {
      prepare(run, task);
      if (definition.approval?.at === 'before') openGate(run, task, definition.approval, now);
      else {
        enter(run, task, 'queued', now);
        run.queue.push(task.id);
      }
    }
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    fail(run, task, { type: 'ExpressionFailed', message: error.message }, now);
  }
}

function skip(run: PlanRun, task: TaskRun, reason: string, now: number): void {
  task.reason = reason;
  enter(run, task, 'skipped', now);
  settle(run, task, now);
}

/** Evaluates title and arguments; both then stay as they are for every attempt. Throws ExpressionFailure. */
function prepare(run: PlanRun, task: TaskRun): void {
  const definition = definitionOf(run, task);
  const scope = scopeFor(run, task, [definition.with, definition.title]);
  const title = evaluateToText(definition.title, scope);
  if (title !== definition.title) task.title = title;
  const args = evaluateMap(definition.with, scope);
  const bytes = JSON.stringify(args).length;
  if (bytes > argumentsLimitBytes)
    throw new ExpressionFailure(
      `the arguments have ${bytes} bytes, more than ${argumentsLimitBytes}; pass large things as artifacts`,
    );
  task.arguments = args;
  const used = artifactsIn(args);
  if (used.length > 0) task.used = used;
}

/** One item for each element of the list. */
function expand(run: PlanRun, task: TaskRun, now: number): void {
  const { forEach, approval } = definitionOf(run, task);
  if (!forEach) return;
  const list = evaluateExpression(soleExpression(forEach.in) ?? '', scopeFor(run, undefined, [forEach.in]));
  if (!Array.isArray(list)) throw new ExpressionFailure('forEach.in gave no list');
  const elements = list as readonly Json[];
  if (elements.length > forEach.maxItems) {
    fail(
      run,
      task,
      { type: 'TooManyItems', message: `the list has ${elements.length} items, more than ${forEach.maxItems}` },
      now,
    );
    return;
  }
  task.items = elements.length;
  task.nextItem = 0;
  const ids = elements.map((item, index) => {
    const one: TaskRun = {
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
    };
    run.tasks.set(one.id, one);
    return one.id;
  });
  run.items.set(task.id, ids);
  if (approval?.at === 'before') {
    for (const id of ids) prepare(run, taskOf(run, id));
    openGate(run, task, approval, now);
  } else enter(run, task, 'queued', now);
  for (const id of ids) enter(run, taskOf(run, id), 'queued', now);
}

/** Puts as many tasks under way as the limits allow, in the order in which they came. */
function dispatch(run: PlanRun, now: number): void {
  const limit = run.plan.maxParallel ?? Infinity;
  while (run.queue.length > 0 && run.underWay < limit) {
    const task = taskOf(run, run.queue.shift() ?? '');
    if (task.state === 'queued') send(run, task, now);
  }
  for (const id of [...run.active]) {
    if (run.underWay >= limit || run.state !== 'running') return;
    const parent = taskOf(run, id);
    if (parent.items !== undefined && parent.state !== 'waiting') dispatchItems(run, parent, limit, now);
  }
}

function dispatchItems(run: PlanRun, parent: TaskRun, limit: number, now: number): void {
  const ids = run.items.get(parent.id) ?? [];
  if (parent.state === 'queued') {
    enter(run, parent, 'dispatched', now);
    parent.startedAt = now;
    enter(run, parent, 'running', now);
    if (ids.length === 0) {
      if (definitionOf(run, parent).approval?.at === 'after') parent.reason = 'result to be approved';
      else succeed(run, parent, now);
      return;
    }
  }
  if (parent.state !== 'running') return;
  const most = definitionOf(run, parent).forEach?.maxParallel ?? Infinity;
  let underWay =
    most === Infinity
      ? 0
      : ids.filter((id) => {
          const { state } = taskOf(run, id);
          return state === 'dispatched' || state === 'running' || state === 'retrying';
        }).length;
  while ((parent.nextItem ?? 0) < ids.length && run.underWay < limit && underWay < most && run.state === 'running') {
    const item = taskOf(run, ids[parent.nextItem ?? 0] ?? '');
    parent.nextItem = (parent.nextItem ?? 0) + 1;
    if (item.state !== 'queued') continue;
    underWay += 1;
    try {
      if (item.arguments === undefined) prepare(run, item);
      send(run, item, now);
    } catch (error) {
      if (!(error instanceof ExpressionFailure)) throw error;
      fail(run, item, { type: 'ExpressionFailed', message: error.message }, now);
    }
  }
}

function send(run: PlanRun, task: TaskRun, now: number): void {
  const definition = definitionOf(run, task);
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
    arguments: task.arguments ?? {},
    ...(Object.keys(definition.secrets).length > 0 && { secrets: definition.secrets }),
    ...(definition.output && { outputSchema: definition.output }),
    timeoutMs: definition.timeoutMs,
    heartbeatMs: definition.heartbeatMs,
    owner: run.owner,
  });
}

/** Results that are good but need a person's word. */
function openGatesAfter(run: PlanRun, now: number): void {
  for (const id of [...run.active]) {
    const task = taskOf(run, id);
    const { approval } = definitionOf(run, task);
    if (
      task.parent !== undefined ||
      task.state !== 'running' ||
      task.reason !== 'result to be approved' ||
      approval?.at !== 'after'
    )
      continue;
    try {
      openGate(run, task, approval, now);
    } catch (error) {
      if (!(error instanceof ExpressionFailure)) throw error;
      fail(run, task, { type: 'ExpressionFailed', message: error.message }, now);
    }
  }
}

/** The plan's clock stands while it is paused, and while all that is left waits for people. */
function keepStill(run: PlanRun, now: number): void {
  if (run.deadlineAt === undefined) return;
  const onlyPeople = run.active.size > 0 && [...run.active].every((id) => taskOf(run, id).state === 'waiting');
  const still = run.state === 'paused' || (run.state === 'running' && onlyPeople);
  if (still) run.stillSince ??= now;
  else if (run.stillSince !== undefined) {
    run.deadlineAt += now - run.stillSince;
    delete run.stillSince;
  }
}
