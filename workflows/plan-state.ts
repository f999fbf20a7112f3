import type { Json, JsonObject } from './contracts/json';
import type { ApprovalRequest } from './contracts/approval';
import type { TaskDispatch, TaskReport } from './contracts/messages';
import type {
  AttemptChange,
  AttemptView,
  CompensationState,
  PlanState,
  TaskFailure,
  TaskState,
} from './contracts/plan';
import type { PlanDefinition, TaskDefinition } from './contracts/plan-definition';
import type { PlanType } from './plan-types';

/** What a task may become: closed; anything else is a bug and throws (docs/plans.md, "States"). */
export const taskTransitions: Readonly<Record<TaskState, readonly TaskState[]>> = {
  pending: ['queued', 'waiting', 'skipped', 'failed', 'cancelled'],
  queued: ['dispatched', 'waiting', 'pending', 'skipped', 'failed', 'cancelled'],
  dispatched: ['running', 'retrying', 'waiting', 'succeeded', 'failed', 'cancelled'],
  running: ['waiting', 'retrying', 'succeeded', 'failed', 'cancelled'],
  retrying: ['queued', 'failed', 'cancelled'],
  waiting: ['queued', 'running', 'pending', 'succeeded', 'failed', 'skipped', 'cancelled'],
  succeeded: ['compensating', 'pending'],
  failed: ['compensating', 'pending'],
  cancelled: ['compensating', 'pending'],
  skipped: ['pending'],
  compensating: ['compensated', 'compensationFailed'],
  compensationFailed: ['compensating', 'pending'],
  compensated: ['compensating', 'pending'],
};
export const planTransitions: Readonly<Record<PlanState, readonly PlanState[]>> = {
  running: ['paused', 'failing', 'cancelling', 'succeeded'],
  paused: ['running', 'failing', 'cancelling'],
  failing: ['failed'],
  cancelling: ['cancelled'],
  succeeded: ['running'],
  failed: ['running'],
  cancelled: [],
};
/** States in which a task rests until somebody begins it anew. */
export const endStates: ReadonlySet<string> = new Set<TaskState>([
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
  'compensated',
  'compensationFailed',
]);
export const isEnded = ({ state }: { readonly state: string }): boolean => endStates.has(state);

/** One task, or one item of a forEach, while the plan runs. Times in milliseconds since 1970, the workflow's clock. */
export interface TaskRun {
  readonly id: string;
  /** Place of its definition in the plan. */
  readonly of: number;
  readonly parent?: string;
  readonly index?: number;
  readonly item?: Json;
  state: TaskState;
  /** Only grows: the fence against stale reports. */
  attempt: number;
  /** Attempts since the task was begun or retried by a person: what the retry policy counts. */
  tries: number;
  round: number;
  title?: string;
  /** Kept only when people decided about them; otherwise they are evaluated anew for each attempt. */
  arguments?: JsonObject;
  output?: Json;
  /** Its result was let go: nothing that was waiting for it read it any more. */
  outputDropped?: true;
  /** Place in `resultParts` of the part that holds its result, whether or not it is at hand too. */
  stored?: number;
  failure?: TaskFailure;
  reason?: string;
  agent?: string;
  readyAt?: number;
  dispatchedAt?: number;
  startedAt?: number;
  endedAt?: number;
  wakeAt?: number;
  timeoutAt?: number;
  deadlineAt?: number;
  waitingSince?: number;
  gate?: {
    readonly approvalId: string;
    readonly digest: string;
    readonly title: string;
    readonly by: readonly string[];
  };
  approval?: { readonly choice: string; readonly reason: string; readonly form: null };
  /** The outcome under which it may be dispatched. */
  decision?: NonNullable<TaskDispatch['approval']>;
  everDispatched?: true;
  /** Told to stop: whatever comes back ends it. */
  stopping?: true;
  compensation?: { tries: number; underWay: boolean };
  /** Number of items of a forEach, once its list is known. */
  items?: number;
  nextItem?: number;
  /** Artifacts that the current attempt's arguments name. */
  used?: readonly string[];
  attempts: AttemptView[];
}

export interface AttemptRef {
  readonly planId: string;
  readonly taskId: string;
  readonly attempt: number;
}
/** What the world must be told after a step. */
export interface Effects {
  dispatches: TaskDispatch[];
  cancels: AttemptRef[];
  approvals: ApprovalRequest[];
  withdrawals: string[];
}
export const noEffects = (): Effects => ({ dispatches: [], cancels: [], approvals: [], withdrawals: [] });

/** Everything that a continued run needs: plain data. */
export interface PlanSnapshot {
  readonly state: PlanState;
  readonly compensation: CompensationState;
  readonly cursor: number;
  readonly tasks: readonly TaskRun[];
  readonly failure?: TaskFailure;
  readonly deadlineAt?: number;
  readonly stillSince?: number;
  readonly pausedSince?: number;
  readonly pauseReason?: string;
  readonly resultParts: readonly ResultPart[];
  readonly early?: readonly TaskReport[];
}

/** Results that left for the artifact store, because they are needed later and would make a snapshot too large. */
export interface ResultPart {
  readonly artifact: string;
  readonly bytes: number;
}

/** A plan while it runs: the snapshot's data, and indexes over it that are rebuilt when a run begins. */
export interface PlanRun {
  readonly planId: string;
  readonly plan: PlanDefinition;
  readonly inputs: JsonObject;
  readonly owner: string;
  readonly startedAt: number;
  state: PlanState;
  compensation: CompensationState;
  cursor: number;
  failure?: TaskFailure;
  result?: Json;
  resultProblem?: string;
  endedAt?: number;
  deadlineAt?: number;
  /** Since when the plan's own clock stands. */
  stillSince?: number;
  /** Since when the clocks of its tasks stand. */
  pausedSince?: number;
  pauseReason?: string;
  readonly tasks: Map<string, TaskRun>;
  readonly items: Map<string, string[]>;
  readonly dependents: ReadonlyMap<string, readonly string[]>;
  /** Needs and afters that have not ended yet. */
  readonly open: Map<string, number>;
  readonly ready: string[];
  readonly queue: string[];
  readonly active: Set<string>;
  underWay: number;
  /** Of each forEach: items that have not ended, and those that failed. */
  readonly itemsLeft: Map<string, { open: number; failed: number }>;
  openGates: number;
  /** Tasks that wait until fewer gates are open, results were fetched, or the plan goes on. */
  readonly held: string[];
  /** Where the steps of expressions stand when this turn has done enough. */
  stepsUntil: number;
  /** The turn had done enough: the rest waits for the next one. */
  goesOn: boolean;
  readonly counts: Map<TaskState, number>;
  readonly dirty: Set<string>;
  /** Attempts that have ended and are not told yet. */
  ended: AttemptChange[];
  planDirty: boolean;
  effects: Effects;
  /** Tasks whose expressions read this task: its result may go once all of these are past evaluation. */
  readonly readers: ReadonlyMap<string, ReadonlySet<string>>;
  /** What each task reads before its first attempt and in its texts. */
  readonly reads: ReadonlyMap<string, readonly string[]>;
  /** While a plan undoes what it did: how many of those that follow a task are not undone yet. */
  readonly compensating: Map<string, number>;
  /** Tasks whose turn it is to be undone. */
  turns: string[];
  /**
   * Reports of attempts that this run has not sent yet. A worker that dies after a task has left, and before Temporal
   * knows of it, leaves the agent's answer ahead of the repeated dispatch; agents that know the attempt say no more.
   */
  readonly early: Map<string, TaskReport>;
  /** Bytes of results at hand, by task of the plan. */
  readonly kept: Map<string, number>;
  keptBytes: number;
  resultParts: ResultPart[];
  /** Parts that hold results of a task and are not at hand. */
  readonly away: Map<string, Set<number>>;
  /** What expressions see, in CEL's values; of a task only once it has ended, until something of it changes. */
  readonly seen: {
    inputs?: unknown;
    plan?: unknown;
    readonly tasks: Map<string, unknown>;
    /** Types of the elements that each forEach runs over. */
    readonly items: Map<string, PlanType>;
  };
  /** Parts that are needed now. */
  readonly recalls: Set<number>;
}

/** Id of the task of the plan that this one is, or is an item of. */
export const topOf = ({ id, parent }: TaskRun): string => parent ?? id;

/** The runs of a task that agents see: itself, or each of its items. */
export const runsOf = (run: PlanRun, task: TaskRun): readonly TaskRun[] =>
  task.items === undefined ? [task] : (run.items.get(task.id) ?? []).map((id) => taskOf(run, id));

export function definitionOf(run: PlanRun, task: TaskRun): TaskDefinition {
  const definition = run.plan.tasks[task.of];
  if (!definition) throw new Error(`task ${task.id} has no definition`);
  return definition;
}
export function taskOf(run: PlanRun, id: string): TaskRun {
  const task = run.tasks.get(id);
  if (!task) throw new Error(`there is no task ${id}`);
  return task;
}

/** The agent that has the attempt, or comes back with it after it was given up, is told to stop. */
export function tellToStop(run: PlanRun, { id, attempt }: TaskRun): void {
  run.effects.cancels.push({ planId: run.planId, taskId: id, attempt });
}

const isUnderWay = (state: TaskState): boolean => state === 'dispatched' || state === 'running';
const isActive = (state: TaskState): boolean => state !== 'pending' && !endStates.has(state);

/** The only place where a task's state changes: keeps counts, indexes and the list of what to publish. */
export function enter(run: PlanRun, task: TaskRun, next: TaskState, now: number): void {
  if (!taskTransitions[task.state].includes(next))
    throw new Error(`task ${task.id} cannot go from ${task.state} to ${next}`);
  if (task.parent !== undefined || task.items === undefined)
    run.underWay += Number(isUnderWay(next)) - Number(isUnderWay(task.state));
  if (task.parent === undefined) {
    run.counts.set(task.state, (run.counts.get(task.state) ?? 1) - 1);
    run.counts.set(next, (run.counts.get(next) ?? 0) + 1);
  } else {
    run.dirty.add(task.parent);
    const left = run.itemsLeft.get(task.parent);
    if (left && !isEnded(task) && endStates.has(next)) left.open -= 1;
    if (left && next === 'failed') left.failed += 1;
  }
  task.state = next;
  run.seen.tasks.delete(topOf(task));
  if (isActive(next)) run.active.add(task.id);
  else run.active.delete(task.id);
  if (endStates.has(next)) {
    task.endedAt = now;
    delete task.timeoutAt;
    delete task.wakeAt;
    delete task.deadlineAt;
  }
  run.dirty.add(task.id);
}

export function enterPlan(run: PlanRun, next: PlanState): void {
  if (!planTransitions[run.state].includes(next))
    throw new Error(`plan ${run.planId} cannot go from ${run.state} to ${next}`);
  if (run.state === 'paused') delete run.pauseReason;
  run.state = next;
  run.planDirty = true;
}
