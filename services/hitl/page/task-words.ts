import type { PlanSummary, TaskState } from '../../../proto/aats/project/v1/project_pb';
import type { TaskState as StateName } from '../../../workflows/contracts/plan';
import { isEnded } from '../../../workflows/plan-state';
import { criticalPath, itemsByParent } from '../../runtime/plan-figures';
import { type Gate, gateMilliseconds, gateShape, gateWords, newestGates, besideGates, type Reader } from './gates';
import type { GraphTask } from './graph-fold';
import type { Shape } from './marks';
import { titlesOf } from './titles';
import { dateOf, duration, ordinal, plural, shortDuration } from './words';

export type { Reader } from './gates';

const shapes: Readonly<Record<StateName, Shape>> = {
  pending: 'idle',
  queued: 'idle',
  // Nobody has begun it.
  dispatched: 'idle',
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

export const shapeOf = (task: TaskState, { asked }: Reader): Shape => {
  const shape = (shapes as Readonly<Record<string, Shape | undefined>>)[task.state] ?? 'unknown';
  return shape === 'waiting' && task.approvalId !== undefined && asked.has(task.approvalId) ? 'you' : shape;
};

/** How long it took, or has been going on; undefined before its start. */
export function tookMilliseconds(task: TaskState, now: Date): number | undefined {
  const begun = dateOf(task.startedAt) ?? (task.state === 'waiting' ? dateOf(task.readyAt) : undefined);
  return begun && (dateOf(task.endedAt) ?? now).getTime() - begun.getTime();
}

/** The state in a few words; an unknown one is the server's own word. */
export function stateWords(task: TaskState, reader: Reader, now: Date): string {
  const took = tookMilliseconds(task, now);
  const again = task.attempt > 1 ? `${ordinal(task.attempt)} try` : undefined;
  switch (task.state) {
    case 'pending':
      return task.reason ?? 'not started';
    case 'queued':
      return 'ready, waits its turn';
    case 'dispatched':
      return 'waits for an agent';
    case 'running':
      return `running for ${duration(took ?? 0)}${again === undefined ? '' : `, ${again}`}`;
    case 'retrying':
      return `trying again after ${plural(task.attempt, 'try', 'tries')}`;
    case 'waiting':
      return shapeOf(task, reader) === 'you' ? 'waiting for you' : 'waiting for a person';
    case 'succeeded':
      if (took === undefined) return again === undefined ? 'done' : `done, ${again}`;
      return again === undefined ? `done in ${duration(took)}` : `${again}, ${shortDuration(took)}`;
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

/** Tasks on the longest chain, people's answers included. */
export const criticalTasks = (
  tasks: readonly TaskState[],
  gates: ReadonlyMap<string, Gate>,
  now: Date,
): ReadonlySet<string> =>
  criticalPath(
    tasks.filter(({ parent }) => parent === undefined),
    (task) => {
      const gate = gates.get(task.id);
      return (tookMilliseconds(task, now) ?? 0) + (gate ? gateMilliseconds(gate, now) : 0);
    },
  );

interface Drawn {
  readonly plan: PlanSummary;
  readonly tasks: readonly TaskState[];
  readonly gates: readonly Gate[];
  readonly reader: Reader;
  readonly now: Date;
}

/**
 * The plan as the drawing sees it: tasks, a forEach by its items once it has any, the requests to people as steps of
 * their own, and the ways back as long as they may be needed.
 */
export function graphTasks({ plan, tasks: own, gates, reader, now }: Drawn): readonly GraphTask[] {
  const gateOf = newestGates(gates);
  const tasks = besideGates(own, gateOf);
  const critical = criticalTasks(own, gateOf, now);
  const titles = titlesOf(tasks);
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const itemsOf = itemsByParent(tasks);
  const slowest = new Set(
    [...itemsOf].flatMap(([parent, items]) => (critical.has(parent) ? slowestOf(items, now) : [])),
  );
  // What a task that needs this one is drawn after.
  const gives = (id: string): readonly string[] =>
    gateOf.get(id)?.at === 'after' ? [gateId(id)] : (itemsOf.get(id)?.map((item) => item.id) ?? [id]);
  const needsOf = ({ needs, after }: TaskState): readonly string[] => [...new Set([...needs, ...after].flatMap(gives))];
  return tasks.flatMap((task): readonly GraphTask[] => {
    const gate = gateOf.get(task.id);
    const items = itemsOf.get(task.id);
    const parent = task.parent === undefined ? undefined : byId.get(task.parent);
    const top = parent ?? task;
    const drawn: GraphTask[] = [];
    if (gate)
      drawn.push({
        id: gateId(task.id),
        kind: 'gate',
        label: gate.title,
        sub: gateWords(gate, task, reader),
        state: gateShape(gate, task, reader),
        needs: gate.at === 'before' ? needsOf(task) : (items?.map(({ id }) => id) ?? [task.id]),
        critical: critical.has(task.id),
        address: `/approvals/${gate.approvalId}`,
      });
    if (!items)
      drawn.push({
        id: task.id,
        label: titles.short(task),
        sub: stateWords(task, reader, now),
        state: shapeOf(task, reader),
        needs: gateOf.get(top.id)?.at === 'before' ? [gateId(top.id)] : needsOf(top),
        critical: critical.has(task.id) || slowest.has(task.id),
        ...(isEnded(task) && { took: tookMilliseconds(task, now) }),
        ...(task.state === 'waiting' && { kind: 'gate' as const }),
        ...(parent && { group: { id: parent.id, label: titles.short(parent) } }),
      });
    if (wayBackIsOpen(plan, task))
      drawn.push({
        id: `undo:${task.id}`,
        kind: 'undo',
        label: 'Put back',
        sub: 'only if needed',
        state: 'ifneeded',
        needs: gives(task.id),
        critical: false,
      });
    return drawn;
  });
}

const gateId = (taskId: string): string => `gate:${taskId}`;
/** Once it is taken, the task itself says so. */
const wayBackIsOpen = ({ state }: PlanSummary, task: TaskState): boolean =>
  task.hasCompensation &&
  task.parent === undefined &&
  ['running', 'paused', 'failing', 'cancelling'].includes(state) &&
  !['skipped', 'compensating', 'compensated', 'compensationFailed'].includes(task.state);

/** Of a forEach that has ended, the item that the plan waited for; before, it would change with every look. */
function slowestOf(items: readonly TaskState[], now: Date): readonly string[] {
  if (!items.every(isEnded)) return [];
  const took = (task: TaskState): number => tookMilliseconds(task, now) ?? 0;
  const [first, ...others] = items;
  return first ? [others.reduce((most, one) => (took(one) > took(most) ? one : most), first).id] : [];
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
  return planShapes[plan.state] ?? 'unknown';
}
