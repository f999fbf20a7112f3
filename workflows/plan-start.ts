import type { Json, JsonObject } from './contracts/json';
import type { TaskState } from './contracts/plan';
import type { PlanDefinition, TaskDefinition } from './contracts/plan-definition';
import { tasksReadBy } from './expressions';
import { isEnded, noEffects, type PlanRun, type PlanSnapshot, type TaskRun, taskOf, topOf } from './plan-state';

/** Values of a task that hold expressions, but for its compensation's. */
const valuesOf = (task: TaskDefinition): readonly Json[] => [
  task.with,
  task.title,
  ...(task.when === undefined ? [] : [task.when]),
  ...(task.forEach ? [task.forEach.in] : []),
  ...(task.approval
    ? [
        task.approval.title ?? '',
        task.approval.message ?? '',
        ...task.approval.show.flatMap(({ title, value }) => [title, value]),
      ]
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
  if (snapshot) for (const task of snapshot.tasks) tasks.set(task.id, { ...task, attempts: [...task.attempts] });
  else
    plan.tasks.forEach(({ id }, of) =>
      tasks.set(id, { id, of, state: 'pending', attempt: 0, tries: 0, round: 0, attempts: [] }),
    );
  const run: PlanRun = {
    ...input,
    state: snapshot?.state ?? 'running',
    compensation: snapshot?.compensation ?? 'none',
    cursor: snapshot?.cursor ?? 0,
    ...(snapshot?.failure && { failure: snapshot.failure }),
    ...deadline(input, snapshot),
    ...(snapshot?.stillSince !== undefined && { stillSince: snapshot.stillSince }),
    ...(snapshot?.pausedSince !== undefined && { pausedSince: snapshot.pausedSince }),
    ...(snapshot?.pauseReason !== undefined && { pauseReason: snapshot.pauseReason }),
    tasks,
    items: new Map(),
    dependents: dependentsOf(plan),
    open: new Map(),
    ready: [],
    queue: [],
    active: new Set(),
    underWay: 0,
    itemsLeft: new Map(),
    openGates: 0,
    held: [],
    stepsUntil: 0,
    goesOn: false,
    counts: new Map<TaskState, number>(),
    dirty: new Set(snapshot ? [] : tasks.keys()),
    planDirty: !snapshot,
    ended: [],
    effects: noEffects(),
    ...readingOf(plan),
    compensating: new Map(),
    turns: [],
    early: new Map(snapshot?.early?.map((report) => [report.taskId, report])),
    kept: new Map(),
    keptBytes: 0,
    resultParts: [...(snapshot?.resultParts ?? [])],
    away: new Map(),
    seen: { tasks: new Map(), items: new Map() },
    recalls: new Set(),
  };
  for (const task of run.tasks.values()) index(run, task);
  for (const { id, needs, after } of plan.tasks) {
    const left = [...needs, ...after].filter((before) => !isEnded(taskOf(run, before))).length;
    run.open.set(id, left);
    if (left === 0 && taskOf(run, id).state === 'pending') run.ready.push(id);
  }
  return run;
}

const deadline = (
  { plan, startedAt }: { readonly plan: PlanDefinition; readonly startedAt: number },
  snapshot?: PlanSnapshot,
): { deadlineAt?: number } => {
  if (snapshot) return snapshot.deadlineAt === undefined ? {} : { deadlineAt: snapshot.deadlineAt };
  return plan.deadlineMs === undefined ? {} : { deadlineAt: startedAt + plan.deadlineMs };
};

/** Enters one task into the indexes; a forEach comes before its items. */
function index(run: PlanRun, task: TaskRun): void {
  const parent = task.parent === undefined ? undefined : taskOf(run, task.parent);
  if (parent) {
    run.items.get(parent.id)?.push(task.id);
    const left = run.itemsLeft.get(parent.id);
    if (left && !isEnded(task)) left.open += 1;
    if (left && task.state === 'failed') left.failed += 1;
  } else run.counts.set(task.state, (run.counts.get(task.state) ?? 0) + 1);
  const isFanOut = task.items !== undefined;
  if (isFanOut) {
    run.items.set(task.id, []);
    run.itemsLeft.set(task.id, { open: 0, failed: 0 });
  }
  if (task.state !== 'pending' && !isEnded(task)) run.active.add(task.id);
  if (!isFanOut && (task.state === 'dispatched' || task.state === 'running')) run.underWay += 1;
  // Items wait in their parent's own line; a retried one waits in the common one.
  if (task.state === 'queued' && !isFanOut && (!parent || (task.index ?? 0) < (parent.nextItem ?? 0)))
    run.queue.push(task.id);
  if (task.gate) run.openGates += 1;
  const top = topOf(task);
  if (task.output !== undefined) {
    const bytes = JSON.stringify(task.output).length;
    run.kept.set(top, (run.kept.get(top) ?? 0) + bytes);
    run.keptBytes += bytes;
  } else if (task.stored !== undefined) {
    const parts = run.away.get(top);
    if (parts) parts.add(task.stored);
    else run.away.set(top, new Set([task.stored]));
  }
}

function dependentsOf({ tasks }: PlanDefinition): ReadonlyMap<string, readonly string[]> {
  const dependents = new Map<string, string[]>();
  for (const { id, needs, after } of tasks) for (const before of [...needs, ...after]) append(dependents, before, id);
  return dependents;
}

function readingOf(plan: PlanDefinition): Pick<PlanRun, 'reads' | 'readers'> {
  const reads = new Map<string, readonly string[]>();
  const readers = new Map<string, Set<string>>();
  const add = (read: string, reader: string): void => {
    const known = readers.get(read);
    if (known) known.add(reader);
    else readers.set(read, new Set([reader]));
  };
  for (const task of plan.tasks) {
    const ids = [...tasksReadBy(valuesOf(task))];
    reads.set(task.id, ids);
    for (const id of ids) add(id, task.id);
    // A compensation may run at the very end: what it reads is kept until then.
    if (task.compensation) for (const id of [...tasksReadBy([task.compensation.with]), task.id]) add(id, '(end)');
  }
  for (const id of tasksReadBy([plan.result])) add(id, '(end)');
  return { reads, readers };
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
