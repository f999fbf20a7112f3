import type { TaskState } from '../proto/aats/project/v1/project_pb';

interface Time {
  readonly seconds: bigint;
  readonly nanos: number;
}
export const milliseconds = (time: Time | undefined): number | undefined =>
  time && Number(time.seconds) * 1000 + time.nanos / 1e6;

export function itemsByParent(tasks: readonly TaskState[]): ReadonlyMap<string, readonly TaskState[]> {
  const items = new Map<string, TaskState[]>();
  for (const task of tasks) {
    if (task.parent === undefined) continue;
    const siblings = items.get(task.parent);
    if (siblings) siblings.push(task);
    else items.set(task.parent, [task]);
  }
  return items;
}

/** Tasks that are work of their own: a forEach is its items, once it has any. */
export function leavesOf(tasks: readonly TaskState[]): readonly TaskState[] {
  const parents = new Set(tasks.map(({ parent }) => parent));
  return tasks.filter(({ id }) => !parents.has(id));
}

/** How long a task took, or takes: from its begin, or from the question where people were asked first. */
export function took(task: TaskState, now: number): number | undefined {
  const begun = milliseconds(task.startedAt) ?? (task.state === 'waiting' ? milliseconds(task.readyAt) : undefined);
  return begun === undefined ? undefined : Math.max(0, (milliseconds(task.endedAt) ?? now) - begun);
}
/** What agents worked, all together. */
export const worked = (tasks: readonly TaskState[], now: number): number =>
  tasks.reduce((sum, task) => sum + (task.state === 'waiting' ? 0 : (took(task, now) ?? 0)), 0);
/** How long people are being waited for now. */
export const peopleTook = (tasks: readonly TaskState[], now: number): number =>
  tasks.reduce((most, task) => Math.max(most, task.state === 'waiting' ? (took(task, now) ?? 0) : 0), 0);

/** Tasks in the order in which they can run; within a layer, in the plan's order. */
export function layered(tasks: readonly TaskState[]): readonly TaskState[] {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const depths = new Map<string, number>();
  for (const task of tasks) deepen(task, byId, depths);
  return tasks
    .map((task, index) => ({ task, index, depth: depths.get(task.id) ?? 0 }))
    .sort((a, b) => a.depth - b.depth || a.index - b.index)
    .map(({ task }) => task);
}
/** Walks with a list of its own: a chain of ten thousand tasks would exhaust the stack. */
function deepen(start: TaskState, byId: ReadonlyMap<string, TaskState>, depths: Map<string, number>): void {
  const open = [start];
  const entered = new Set<string>();
  for (let task = open.at(-1); task !== undefined; task = open.at(-1)) {
    const before = needsOf(task).flatMap((id) => byId.get(id) ?? []);
    const unknown = before.filter(({ id }) => !depths.has(id));
    if (unknown.length > 0 && !entered.has(task.id)) {
      entered.add(task.id);
      open.push(...unknown);
    } else {
      open.pop();
      depths.set(
        task.id,
        before.reduce((most, { id }) => Math.max(most, (depths.get(id) ?? 0) + 1), 0),
      );
    }
  }
}
const needsOf = ({ needs, after }: TaskState): readonly string[] => [...needs, ...after];

// A task that has not run counts as this long, so that the longest chain of tasks is still found.
const expectedMs = 1000;

/** The longest path by measured time. */
export function criticalPath(tasks: readonly TaskState[], now: number): ReadonlySet<string> {
  const best = new Map<string, { readonly cost: number; readonly from?: string }>();
  let last: string | undefined;
  for (const task of layered(tasks)) {
    let from: string | undefined;
    let before = 0;
    for (const id of needsOf(task)) {
      const cost = best.get(id)?.cost;
      if (cost !== undefined && cost > before) [before, from] = [cost, id];
    }
    const cost = before + Math.max(expectedMs, took(task, now) ?? 0);
    best.set(task.id, { cost, ...(from !== undefined && { from }) });
    if (last === undefined || cost > (best.get(last)?.cost ?? 0)) last = task.id;
  }
  const path = new Set<string>();
  for (let id = last; id !== undefined; id = best.get(id)?.from) path.add(id);
  return path;
}
