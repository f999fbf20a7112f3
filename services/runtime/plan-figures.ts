import type { TaskState } from '../../proto/aats/project/v1/project_pb';

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
export function leavesOf<T extends Pick<TaskState, 'id' | 'parent'>>(tasks: readonly T[]): readonly T[] {
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

/**
 * The longest chain of tasks by what each took, and by their number where nothing ran yet; of two as long, by the need
 * named last.
 */
export function criticalPath(tasks: readonly TaskState[], ownMs: (task: TaskState) => number): ReadonlySet<string> {
  const longest = new Map<string, { readonly ms: number; readonly via: string | undefined }>();
  for (const task of layered(tasks)) {
    let best: { readonly ms: number; readonly via: string | undefined } = { ms: 0, via: undefined };
    for (const id of needsOf(task)) {
      const ms = longest.get(id)?.ms;
      if (ms !== undefined && ms >= best.ms) best = { ms, via: id };
    }
    longest.set(task.id, { ms: best.ms + Math.max(expectedMs, ownMs(task)), via: best.via });
  }
  let end: string | undefined;
  let most = -1;
  for (const { id } of tasks) {
    const ms = longest.get(id)?.ms ?? 0;
    if (ms > most) [most, end] = [ms, id];
  }
  const path = new Set<string>();
  for (let id = end; id !== undefined; id = longest.get(id)?.via) path.add(id);
  return path;
}
