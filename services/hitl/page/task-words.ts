import type { PlanSummary, TaskState } from '../../../proto/aats/project/v1/project_pb';
import type { TaskState as StateName } from '../../../workflows/contracts/plan';
import type { GraphTask } from './graph-fold';
import type { Shape } from './marks';
import { titlesOf } from './titles';
import { dateOf, duration } from './words';

const shapes: Readonly<Record<StateName, Shape>> = {
  pending: 'idle',
  queued: 'idle',
  dispatched: 'running',
  running: 'running',
  retrying: 'retrying',
  waiting: 'waiting',
  succeeded: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
  skipped: 'skipped',
  compensating: 'retrying',
  compensated: 'ifneeded',
  compensationFailed: 'failed',
};

/** Who looks: requests that wait for this person are "you". */
export interface Reader {
  readonly name: string;
  /** Ids of open requests this person may answer. */
  readonly asked: ReadonlySet<string>;
}

export const shapeOf = (task: TaskState, { asked }: Reader): Shape => {
  const shape = (shapes as Readonly<Record<string, Shape | undefined>>)[task.state] ?? 'idle';
  return shape === 'waiting' && task.approvalId !== undefined && asked.has(task.approvalId) ? 'you' : shape;
};

/** How long it took, or has been going on; undefined before its start. */
export function tookMilliseconds(task: TaskState, now: Date): number | undefined {
  const begun = dateOf(task.startedAt) ?? (task.approvalId === undefined ? undefined : dateOf(task.readyAt));
  return begun && (dateOf(task.endedAt) ?? now).getTime() - begun.getTime();
}

/** The state in a few words; an unknown one is the server's own word. */
export function stateWords(task: TaskState, reader: Reader, now: Date): string {
  const took = tookMilliseconds(task, now);
  const time = took === undefined ? '' : ` ${duration(took)}`;
  const again = task.attempt > 1 ? `, try ${task.attempt}` : '';
  switch (task.state) {
    case 'pending':
      return task.reason ?? 'not started';
    case 'queued':
      return 'ready, waits its turn';
    case 'dispatched':
      return 'given to an agent';
    case 'running':
      return `running for${time}${again}`;
    case 'retrying':
      return `trying again${again}`;
    case 'waiting':
      return shapeOf(task, reader) === 'you' ? 'waiting for you' : 'waiting for a person';
    case 'succeeded':
      return took === undefined ? 'done' : `done in${time}${again}`;
    case 'failed':
      return task.failure?.message ?? 'failed';
    case 'skipped':
      return task.reason ?? 'skipped';
    case 'compensating':
      return 'being undone';
    case 'compensated':
      return 'undone';
    case 'compensationFailed':
      return 'could not be undone';
    default:
      return task.state;
  }
}

// A task that has not run counts as this long, so that the longest chain of tasks is still found.
const expectedMs = 1000;

/** Tasks on the longest chain by measured time, and by the number of tasks where nothing ran yet. */
export function criticalPath(tasks: readonly TaskState[], now: Date): ReadonlySet<string> {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const before = (task: TaskState): readonly string[] => [...task.needs, ...task.after];
  const longest = new Map<string, { readonly ms: number; readonly via: string | undefined }>();
  // Plans list needs in any order, so each chain is followed once and remembered; a plan has no cycle.
  const follow = (task: TaskState): number => {
    const known = longest.get(task.id);
    if (known) return known.ms;
    let best: { ms: number; via: string | undefined } = { ms: 0, via: undefined };
    for (const need of before(task).flatMap((id) => byId.get(id) ?? [])) {
      const ms = follow(need);
      if (ms >= best.ms) best = { ms, via: need.id };
    }
    const ms = best.ms + Math.max(expectedMs, tookMilliseconds(task, now) ?? 0);
    longest.set(task.id, { ms, via: best.via });
    return ms;
  };
  const own = tasks.filter(({ parent }) => parent === undefined);
  let end: string | undefined;
  let most = -1;
  for (const task of own) {
    const ms = follow(task);
    if (ms > most) [most, end] = [ms, task.id];
  }
  const path = new Set<string>();
  for (let id = end; id !== undefined; id = longest.get(id)?.via) path.add(id);
  return path;
}

/** The tasks as the drawing sees them: a forEach is drawn by its items, once it has any. */
export function graphTasks(tasks: readonly TaskState[], reader: Reader, now: Date): readonly GraphTask[] {
  const critical = criticalPath(tasks, now);
  const titles = titlesOf(tasks);
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const itemsOf = new Map<string, TaskState[]>();
  for (const task of tasks)
    if (task.parent !== undefined) itemsOf.set(task.parent, [...(itemsOf.get(task.parent) ?? []), task]);
  // Of a forEach on the critical path, the slowest item is what the plan waited for.
  const slowest = new Set(
    [...itemsOf].flatMap(([parent, items]) => {
      const [first] = [...items].sort((a, b) => (tookMilliseconds(b, now) ?? 0) - (tookMilliseconds(a, now) ?? 0));
      return critical.has(parent) && first ? [first.id] : [];
    }),
  );
  const drawn = (need: string): readonly string[] => itemsOf.get(need)?.map(({ id }) => id) ?? [need];
  return tasks
    .filter(({ id }) => !itemsOf.has(id))
    .map((task) => {
      const parent = task.parent === undefined ? undefined : byId.get(task.parent);
      const { needs, after } = parent ?? task;
      return {
        id: task.id,
        label: titles.short(task),
        sub: stateWords(task, reader, now),
        state: shapeOf(task, reader),
        needs: [...new Set([...needs, ...after].flatMap(drawn))],
        critical: critical.has(task.id) || slowest.has(task.id),
        gate: task.approvalId !== undefined,
        ...(parent && { group: { id: parent.id, label: titles.short(parent) } }),
      };
    });
}

const planShapes: Readonly<Record<string, Shape>> = {
  running: 'running',
  paused: 'paused',
  failing: 'failed',
  cancelling: 'cancelled',
  succeeded: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
};
export function planShape(plan: PlanSummary, waitsForYou: boolean): Shape {
  if (plan.state === 'running' && plan.waitingFor.length > 0) return waitsForYou ? 'you' : 'waiting';
  return planShapes[plan.state] ?? 'idle';
}
