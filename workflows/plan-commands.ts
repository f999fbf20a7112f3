import { failure } from './contracts/failures';
import { forgetResult } from './plan-results';
import { definitionOf, enter, enterPlan, isEnded, type PlanRun, runsOf, type TaskRun, taskOf } from './plan-state';

const ended = (run: PlanRun): boolean =>
  run.state === 'succeeded' || run.state === 'failed' || run.state === 'cancelled';

export type CommandName = 'pause' | 'resume' | 'cancel' | 'retryTask';

/** Throws PlanClosed or PlanStateConflict when the plan cannot take the command as it stands; changes nothing. */
export function refuseCommand(run: PlanRun, command: CommandName): void {
  if (ended(run)) throw failure('PlanClosed', `plan ${run.planId} is ${run.state}`);
  const possible = {
    pause: ['running', 'paused'],
    resume: ['running', 'paused'],
    cancel: ['running', 'paused', 'cancelling'],
    retryTask: ['running', 'paused'],
  }[command];
  if (!possible.includes(run.state)) throw failure('PlanStateConflict', `plan ${run.planId} is ${run.state}`);
}

/** Nothing new starts, running tasks finish. Twice is once. */
export function pausePlan(run: PlanRun, reason: string): void {
  if (run.state === 'paused') return;
  enterPlan(run, 'paused');
  run.pauseReason = reason.slice(0, 1000);
}
export function resumePlan(run: PlanRun): void {
  if (run.state === 'running') return;
  enterPlan(run, 'running');
}
export function cancelPlan(run: PlanRun): void {
  if (run.state === 'cancelling') return;
  enterPlan(run, 'cancelling');
}

/** Throws PlanClosed, PlanStateConflict, or as `refuseRetry` when a plan that has ended cannot go on with this task. */
export function refuseReopening(run: PlanRun, taskId: string): void {
  if (run.state === 'cancelled') throw failure('PlanClosed', `plan ${run.planId} is cancelled; start it anew`);
  if (!ended(run)) throw failure('PlanStateConflict', `plan ${run.planId} is ${run.state}`);
  refuseRetry(run, taskId);
}

/** Goes on with a plan that has ended: the task, what depends on it, and every compensated task it needs run again. */
export function reopenPlan(run: PlanRun, taskId: string, now: number): void {
  enterPlan(run, 'running');
  delete run.failure;
  // Time that a plan did not run is not held against it.
  if (run.plan.deadlineMs !== undefined) run.deadlineAt = now + run.plan.deadlineMs;
  retryTask(run, taskId, now);
  if ([...run.tasks.values()].every(({ compensation }) => compensation === undefined)) run.compensation = 'none';
}

/** Throws TaskNotFound or TaskStateConflict when the task, or what depends on it, cannot be run again now. */
export function refuseRetry(run: PlanRun, taskId: string): void {
  const task = run.tasks.get(taskId);
  if (!task) throw failure('TaskNotFound', `plan ${run.planId} has no task ${taskId}`);
  if (task.parent !== undefined) throw failure('TaskStateConflict', `${taskId} is an item; retry ${task.parent}`);
  if (!isEnded(task)) throw failure('TaskStateConflict', `task ${taskId} is ${task.state}`);
  for (const one of downstream(run, task)) {
    if (one.state !== 'pending' && !isEnded(one))
      throw failure('TaskStateConflict', `task ${one.id} depends on ${taskId} and is ${one.state}`);
  }
  const again = new Set(ranAgain(run, task).map(({ id }) => id));
  const unmet = definitionOf(run, task).needs.find((id) => !again.has(id) && taskOf(run, id).state !== 'succeeded');
  if (unmet !== undefined)
    throw failure(
      'TaskStateConflict',
      `${taskId} needs ${unmet}, which is ${taskOf(run, unmet).state}; retry ${unmet}`,
    );
  const lost = [...again]
    .flatMap((id) => run.reads.get(id) ?? [])
    .find((id) => !again.has(id) && run.tasks.get(id)?.outputDropped);
  if (lost !== undefined) throw failure('TaskStateConflict', `the result of ${lost} is no longer kept; retry ${lost}`);
}

/** The task, what depends on it, and what was undone of what it needs, are pending again; attempts go on counting, so that old reports stay stale. */
export function retryTask(run: PlanRun, taskId: string, now: number): void {
  const tasks = ranAgain(run, taskOf(run, taskId));
  for (const task of tasks) reset(run, task, now);
  for (const task of tasks) {
    const { id, needs, after } = definitionOf(run, task);
    const left = [...needs, ...after].filter((before) => !isEnded(taskOf(run, before))).length;
    run.open.set(id, left);
    if (left === 0) run.ready.push(id);
  }
  run.planDirty = true;
}

function reset(run: PlanRun, task: TaskRun, now: number): void {
  // Items are made anew under the same ids: their attempts go on above any that was ever sent.
  task.attempt = Math.max(task.attempt, ...(run.items.get(task.id) ?? []).map((id) => taskOf(run, id).attempt));
  for (const one of runsOf(run, task)) forgetResult(run, one);
  for (const id of run.items.get(task.id) ?? []) run.tasks.delete(id);
  run.items.delete(task.id);
  run.itemsLeft.delete(task.id);
  run.away.delete(task.id);
  // What was undone has not been done, until it is sent again.
  if (task.compensation) delete task.everDispatched;
  if (task.state !== 'pending') enter(run, task, 'pending', now);
  task.tries = 0;
  for (const key of [
    'outputDropped',
    'title',
    'decision',
    'failure',
    'reason',
    'agent',
    'arguments',
    'readyAt',
    'dispatchedAt',
    'startedAt',
    'endedAt',
    'stopping',
    'items',
    'nextItem',
    'approval',
    'compensation',
    'used',
  ] as const)
    Reflect.deleteProperty(task, key);
}

/** The task, what depends on it, and what was undone of what these need. */
function ranAgain(run: PlanRun, task: TaskRun): readonly TaskRun[] {
  const again = new Set(downstream(run, task));
  // A set that is gone through also shows what is added meanwhile.
  for (const one of again)
    for (const id of definitionOf(run, one).needs) {
      const need = taskOf(run, id);
      if (runsOf(run, need).some(({ compensation }) => compensation)) again.add(need);
    }
  return [...again];
}

/** The task itself first. */
function downstream(run: PlanRun, task: TaskRun): readonly TaskRun[] {
  const found = new Set([task.id]);
  for (const id of found) for (const next of run.dependents.get(id) ?? []) found.add(next);
  return [...found].map((id) => taskOf(run, id));
}
