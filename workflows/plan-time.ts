import { compensationFailed, compensationOf } from './plan-ending';
import { attemptFailed, closeAttempt, fail } from './plan-outcome';
import { definitionOf, enter, enterPlan, isEnded, type PlanRun, type TaskRun, taskOf, tellToStop } from './plan-state';

const clockRuns = (run: PlanRun): boolean =>
  run.stillSince === undefined && (run.state === 'running' || run.state === 'paused');

/** People's time is not the task's: while they are asked, or have paused the plan. */
const isTimed = (run: PlanRun, { waitingSince }: TaskRun): boolean =>
  waitingSince === undefined && run.pausedSince === undefined;

/** The next moment at which something happens by itself; undefined when only the world can bring news. */
export function nextWake(run: PlanRun): number | undefined {
  let earliest = clockRuns(run) ? (run.deadlineAt ?? Infinity) : Infinity;
  for (const id of run.active) {
    const task = taskOf(run, id);
    earliest = Math.min(
      earliest,
      task.wakeAt ?? Infinity,
      task.timeoutAt ?? Infinity,
      isTimed(run, task) ? (task.deadlineAt ?? Infinity) : Infinity,
    );
  }
  return earliest === Infinity ? undefined : earliest;
}

/** Deadlines, timeouts and pauses between attempts that are over. */
export function passTime(run: PlanRun, now: number): void {
  if (run.deadlineAt !== undefined && clockRuns(run) && now >= run.deadlineAt) {
    run.failure = { type: 'DeadlineExceeded', message: 'the plan was not done in time' };
    enterPlan(run, 'failing');
  }
  for (const id of [...run.active]) {
    const task = taskOf(run, id);
    if (isEnded(task)) continue;
    if (task.wakeAt !== undefined && now >= task.wakeAt) wake(run, task, now);
    else if (task.timeoutAt !== undefined && now >= task.timeoutAt) timeOut(run, task, now);
    else if (task.deadlineAt !== undefined && isTimed(run, task) && now >= task.deadlineAt)
      missDeadline(run, task, now);
  }
}

function wake(run: PlanRun, task: TaskRun, now: number): void {
  delete task.wakeAt;
  // What is to be undone is sent in its turn.
  if (task.state === 'compensating') return;
  enter(run, task, 'queued', now);
  run.queue.push(task.id);
}

function timeOut(run: PlanRun, task: TaskRun, now: number): void {
  const isUndone = task.state === 'compensating';
  const { timeoutMs } = isUndone ? compensationOf(run, task) : definitionOf(run, task);
  const failure = { type: 'Timeout', message: `attempt ${task.attempt} took longer than ${timeoutMs / 1000} s` };
  tellToStop(run, task);
  if (isUndone) compensationFailed(run, task, failure, true, now);
  else attemptFailed(run, task, failure, true, now);
}

function missDeadline(run: PlanRun, task: TaskRun, now: number): void {
  const seconds = (definitionOf(run, task).deadlineMs ?? 0) / 1000;
  const failure = { type: 'DeadlineExceeded', message: `the task was not done in ${seconds} s` };
  if (task.items === undefined && (task.state === 'dispatched' || task.state === 'running')) {
    tellToStop(run, task);
    closeAttempt(run, task, { state: 'failed', failure }, now);
  }
  fail(run, task, failure, now);
}

/** The plan's clock stands while it is paused, and while all that is left waits for people. */
export function keepStill(run: PlanRun, now: number): void {
  keepTasksStill(run, now);
  if (run.deadlineAt === undefined) return;
  const onlyPeople = run.active.size > 0 && [...run.active].every((id) => taskOf(run, id).state === 'waiting');
  const still = run.state === 'paused' || (run.state === 'running' && onlyPeople);
  if (still) run.stillSince ??= now;
  else if (run.stillSince !== undefined) {
    run.deadlineAt += now - run.stillSince;
    delete run.stillSince;
  }
}

/** The clocks of tasks stand while the plan is paused. */
function keepTasksStill(run: PlanRun, now: number): void {
  if (run.state === 'paused') run.pausedSince ??= now;
  else if (run.pausedSince !== undefined) {
    for (const id of run.active) {
      const task = taskOf(run, id);
      if (task.deadlineAt !== undefined && task.waitingSince === undefined) task.deadlineAt += now - run.pausedSince;
    }
    delete run.pausedSince;
  }
}
