import type { Json } from './contracts/json';
import type { AttemptChange, AttemptView, TaskFailure } from './contracts/plan';
import type { RetryPolicy } from './contracts/plan-definition';
import { artifactsIn, isArtifactReference, validateValue } from './json-schema';
import { setResult } from './plan-results';
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
} from './plan-state';

/** Failures of the engine that no retry can help. */
const final: ReadonlySet<string> = new Set([
  'DeadlineExceeded',
  'ExpressionFailed',
  'Rejected',
  'Expired',
  'TooManyItems',
  'ItemsFailed',
]);

/** A task has ended: those that waited for it may begin; a forEach whose items have all ended ends too. */
export function settle(run: PlanRun, task: TaskRun, now: number): void {
  if (task.parent !== undefined) {
    settleItems(run, taskOf(run, task.parent), now);
    return;
  }
  for (const id of run.dependents.get(task.id) ?? []) {
    const left = (run.open.get(id) ?? 1) - 1;
    run.open.set(id, left);
    if (left === 0 && taskOf(run, id).state === 'pending') run.ready.push(id);
  }
}

/** The result was checked and accepted. */
export function succeed(run: PlanRun, task: TaskRun, now: number): void {
  enter(run, task, 'succeeded', now);
  delete task.reason;
  settle(run, task, now);
}

export function fail(run: PlanRun, task: TaskRun, why: TaskFailure, now: number): void {
  const failure = { type: why.type, message: why.message.slice(0, 2000) };
  task.failure = failure;
  delete task.reason;
  enter(run, task, 'failed', now);
  stopItems(run, task, now);
  const isTop = task.parent === undefined;
  if (isTop && definitionOf(run, task).onFailure === 'fail' && (run.state === 'running' || run.state === 'paused')) {
    run.failure = { type: failure.type, message: `task ${task.id}: ${failure.message}` };
    enterPlan(run, 'failing');
  }
  settle(run, task, now);
}

/** A forEach that has failed takes with it what is left of it: deadline, a refusal, arguments that cannot be evaluated. */
function stopItems(run: PlanRun, task: TaskRun, now: number): void {
  if (task.items === undefined) return;
  for (const item of runsOf(run, task)) {
    if (isEnded(item)) continue;
    if (item.state === 'dispatched' || item.state === 'running') {
      tellToStop(run, item);
      closeAttempt(run, item, { state: 'cancelled' }, now);
    }
    enter(run, item, 'cancelled', now);
  }
}

/** A report said that the attempt succeeded: its result is checked, may need a person, and then counts. */
export function attemptSucceeded(run: PlanRun, task: TaskRun, output: Json, now: number): void {
  const problem = outputProblem(definitionOf(run, task).output, output);
  if (problem !== undefined) {
    attemptFailed(run, task, { type: 'OutputInvalid', message: problem }, true, now);
    return;
  }
  closeAttempt(run, task, { state: 'succeeded', produced: artifactsIn(output) }, now);
  setResult(run, task, output);
  delete task.timeoutAt;
  if (
    definitionOf(run, task).approval?.at === 'after' &&
    task.parent === undefined &&
    run.state !== 'failing' &&
    run.state !== 'cancelling'
  )
    task.reason = toBeApproved;
  else succeed(run, task, now);
}

/** Why a task whose attempt succeeded is still running. */
export const toBeApproved = 'result to be approved';

function outputProblem(schema: Parameters<typeof validateValue>[0] | undefined, output: Json): string | undefined {
  // A result that was too large to travel is its artifact; the agent has checked it before storing it.
  if (!schema || (isArtifactReference(output) && output['name'] === 'output.json')) return undefined;
  const [first] = validateValue(schema, output);
  return (
    first &&
    `the result does not fit its schema at ${first.pointer === '' ? 'its root' : first.pointer}: ${first.message}`
  );
}

/** An attempt is over without success: tried again after a pause, or failed for good. */
export function attemptFailed(
  run: PlanRun,
  task: TaskRun,
  failure: TaskFailure,
  retryable: boolean,
  now: number,
): void {
  closeAttempt(run, task, { state: 'failed', failure }, now);
  delete task.timeoutAt;
  const policy = definitionOf(run, task).retry;
  if (task.stopping) {
    task.failure = failure;
    enter(run, task, 'cancelled', now);
    settle(run, task, now);
  } else if (!isGivenUp(run, task) && mayRetry(policy, task.tries, failure, retryable)) {
    task.failure = failure;
    enter(run, task, 'retrying', now);
    // Nothing was wrong with the task when its agent died: the next agent gets it at once.
    const wait =
      failure.type === 'AgentLost' ? 0 : backOff(policy, task.tries, `${run.planId}/${task.id}/${task.attempt}`);
    task.wakeAt = now + wait;
  } else fail(run, task, failure, now);
}

/** More items have failed than are tolerated: those that run may finish, none is tried again. */
const isGivenUp = (run: PlanRun, { parent }: TaskRun): boolean =>
  parent !== undefined && taskOf(run, parent).stopping === true;

export const mayRetry = (
  { maxAttempts, nonRetryable }: RetryPolicy,
  tries: number,
  { type }: TaskFailure,
  retryable: boolean,
): boolean => retryable && !final.has(type) && !nonRetryable.includes(type) && tries < maxAttempts;

/** Exponential, at most `maxInterval`, varied by ±10 % from a hash of the ids: the same in every replay. */
export function backOff(
  { initialIntervalMs, backoffCoefficient, maxIntervalMs }: RetryPolicy,
  tries: number,
  key: string,
): number {
  const plain = Math.min(maxIntervalMs, initialIntervalMs * backoffCoefficient ** Math.max(0, tries - 1));
  let hash = 2166136261; // FNV-1a
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 16777619) >>> 0;
  return Math.round(plain * (0.9 + 0.2 * (hash / 0xffffffff)));
}

const keptAttempts = 10;

/** The attempt under way as people will see it later. */
export function attemptOf(
  task: TaskRun,
  state: 'succeeded' | 'failed' | 'cancelled',
  now: number,
  failure?: TaskFailure,
): AttemptView {
  const iso = (time: number): string => new Date(time).toISOString();
  return {
    attempt: task.attempt,
    state,
    ...(task.agent !== undefined && { agent: task.agent }),
    ...(task.dispatchedAt !== undefined && { dispatchedAt: iso(task.dispatchedAt) }),
    ...(task.startedAt !== undefined && { startedAt: iso(task.startedAt) }),
    endedAt: iso(now),
    ...(failure && { failure }),
  };
}

/** Notes how the attempt ended. Older ones than the last ten are not kept. */
export function closeAttempt(
  run: PlanRun,
  task: TaskRun,
  end: Pick<AttemptChange, 'failure' | 'produced'> & { readonly state: 'succeeded' | 'failed' | 'cancelled' },
  now: number,
): void {
  const attempt = attemptOf(task, end.state, now, end.failure);
  task.attempts.push(attempt);
  if (task.attempts.length > keptAttempts) task.attempts.shift();
  run.dirty.add(task.id);
  run.ended.push({
    ...attempt,
    taskId: task.id,
    ...(task.used && { used: task.used }),
    ...(end.produced && end.produced.length > 0 && { produced: end.produced }),
  });
}

function settleItems(run: PlanRun, parent: TaskRun, now: number): void {
  const left = run.itemsLeft.get(parent.id);
  if (isEnded(parent) || parent.items === undefined || !left) return;
  const { forEach, approval } = definitionOf(run, parent);
  const tolerated = Math.floor((parent.items * (forEach?.maxFailurePercent ?? 0)) / 100);
  if (left.failed > tolerated && !parent.stopping) {
    parent.stopping = true;
    // No new item starts, running ones finish.
    for (const item of runsOf(run, parent))
      if (item.state === 'queued' || item.state === 'retrying') enter(run, item, 'cancelled', now);
    parent.nextItem = parent.items;
  }
  if (left.open > 0) return;
  const isStopped = run.state === 'failing' || run.state === 'cancelling';
  if (left.failed > tolerated) {
    const first = runsOf(run, parent).find(({ state }) => state === 'failed');
    const message = `${left.failed} of ${parent.items} items failed; first ${first?.id ?? ''}: ${first?.failure?.message ?? ''}`;
    fail(run, parent, { type: first?.failure?.type ?? 'ItemsFailed', message }, now);
  } else if (isStopped && runsOf(run, parent).some(({ state }) => state === 'cancelled')) {
    enter(run, parent, 'cancelled', now);
    settle(run, parent, now);
  } else if (approval?.at === 'after' && !isStopped) parent.reason = toBeApproved;
  else succeed(run, parent, now);
}
