import type { Json, JsonObject } from './contracts/json';
import type { PlanDefinition, TaskDefinition } from './contracts/plan-definition';
import { tasksReadBy } from './expressions';
import { isEnded, noEffects, type PlanRun, type PlanSnapshot, type TaskRun } from './plan-state';
import type { TaskState } from './contracts/plan';

/** Values of a task that hold expressions; evaluated before its first attempt, but for the compensation's. */
const early = (task: TaskDefinition): readonly Json[] => [
  task.with,
  task.title,
  ...(task.when === undefined ? [] : [task.when]),
  ...(task.forEach ? [task.forEach.in] : []),
  ...(task.approval
    ? [task.approval.title ?? '', task.approval.message ?? '', task.approval.show as unknown as Json]
    : []),
];

/** Builds a run from a plan, or from the snapshot of an earlier one. */
export function createRun(
  input: {
    readonly planId: string;
    readonly plan: PlanDefinition;
    readonly inputs: JsonObject;
    readonly owner: string;
    readonly startedAt: number;
  },
  snapshot?: PlanSnapshot,
): PlanRun {
  const { plan } = input;
  const tasks = new Map<string, TaskRun>();
  const items = new Map<string, string[]>();
  if (snapshot) {
    for (const task of snapshot.tasks) {
      tasks.set(task.id, { ...task, attempts: [...task.attempts] });
      if (task.parent !== undefined) items.set(task.parent, [...(items.get(task.parent) ?? []), task.id]);
    }
  } else
    plan.tasks.forEach(({ id }, of) =>
      tasks.set(id, { id, of, state: 'pending', attempt: 0, tries: 0, round: 0, attempts: [] }),
    );

  const dependents = new Map<string, string[]>();
  for (const { id, needs, after } of plan.tasks)
    for (const before of [...needs, ...after]) dependents.set(before, [...(dependents.get(before) ?? []), id]);
  const run: PlanRun = {
    ...input,
    state: snapshot?.state ?? 'running',
    compensation: snapshot?.compensation ?? 'none',
    cursor: snapshot?.cursor ?? 0,
    ...(snapshot?.failure && { failure: snapshot.failure }),
    ...deadline(input, snapshot),
    ...(snapshot?.stillSince !== undefined && { stillSince: snapshot.stillSince }),
    ...(snapshot?.pauseReason !== undefined && { pauseReason: snapshot.pauseReason }),
    tasks,
    items,
    dependents,
    open: new Map(),
    ready: [],
    queue: [],
    active: new Set(),
    underWay: 0,
    counts: new Map<TaskState, number>(),
    dirty: new Set(snapshot ? [] : tasks.keys()),
    planDirty: !snapshot,
    effects: noEffects(),
    readers: readersOf(plan),
    compensating: new Map(),
    keptBytes: 0,
  };
  index(run);
  return run;
}

const deadline = (
  { plan, startedAt }: { readonly plan: PlanDefinition; readonly startedAt: number },
  snapshot?: PlanSnapshot,
): { deadlineAt?: number } => {
  if (snapshot) return snapshot.deadlineAt === undefined ? {} : { deadlineAt: snapshot.deadlineAt };
  return plan.deadlineMs === undefined ? {} : { deadlineAt: startedAt + plan.deadlineMs };
};

function index(run: PlanRun): void {
  for (const { id, needs, after } of run.plan.tasks) {
    const left = [...needs, ...after].filter((before) => {
      const task = run.tasks.get(before);
      return task && !isEnded(task);
    }).length;
    run.open.set(id, left);
    if (left === 0 && run.tasks.get(id)?.state === 'pending') run.ready.push(id);
  }
  for (const task of run.tasks.values()) {
    if (task.parent === undefined) run.counts.set(task.state, (run.counts.get(task.state) ?? 0) + 1);
    if (task.state !== 'pending' && !isEnded(task)) run.active.add(task.id);
    const isFanOut = task.parent === undefined && task.items !== undefined;
    if (!isFanOut && (task.state === 'dispatched' || task.state === 'running')) run.underWay += 1;
    // Items wait in their parent's own line; a retried one waits in the common one.
    if (
      task.state === 'queued' &&
      (task.parent === undefined || (task.index ?? 0) < (run.tasks.get(task.parent)?.nextItem ?? 0))
    )
      run.queue.push(task.id);
    if (task.output !== undefined) run.keptBytes += JSON.stringify(task.output).length;
  }
}

function readersOf(plan: PlanDefinition): ReadonlyMap<string, ReadonlySet<string>> {
  const readers = new Map<string, Set<string>>();
  const add = (read: string, reader: string): void => {
    const known = readers.get(read);
    if (known) known.add(reader);
    else readers.set(read, new Set([reader]));
  };
  for (const task of plan.tasks) {
    for (const read of tasksReadBy(early(task))) add(read, task.id);
    // A compensation may run at the very end: what it reads is kept until then.
    if (task.compensation) for (const read of [...tasksReadBy([task.compensation.with]), task.id]) add(read, '(end)');
  }
  for (const read of tasksReadBy([plan.result])) add(read, '(end)');
  return readers;
}

/** The run as plain data; `createRun` with it goes on where this one stands. */
export function snapshotOf(run: PlanRun): PlanSnapshot {
  return {
    state: run.state,
    compensation: run.compensation,
    cursor: run.cursor,
    tasks: [...run.tasks.values()],
    ...(run.failure && { failure: run.failure }),
    ...(run.deadlineAt !== undefined && { deadlineAt: run.deadlineAt }),
    ...(run.stillSince !== undefined && { stillSince: run.stillSince }),
    ...(run.pauseReason !== undefined && { pauseReason: run.pauseReason }),
  };
}
