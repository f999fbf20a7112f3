import type { PlanSummary, TaskState } from '../proto/aats/project/v1/project_pb';
import { cut, duration, pad, safe, spread, type Colour, type Terminal } from './terminal';

type Glyph = { readonly sign: string; readonly colour: Colour };
const glyphs: Readonly<Record<string, Glyph>> = {
  pending: { sign: '○', colour: 'dim' },
  queued: { sign: '○', colour: 'dim' },
  dispatched: { sign: '►', colour: 'dim' },
  running: { sign: '►', colour: 'blue' },
  retrying: { sign: '↻', colour: 'yellow' },
  waiting: { sign: '◆', colour: 'yellow' },
  succeeded: { sign: '✓', colour: 'green' },
  failed: { sign: '■', colour: 'red' },
  cancelled: { sign: '⊘', colour: 'dim' },
  skipped: { sign: '–', colour: 'dim' },
  compensating: { sign: '↺', colour: 'blue' },
  compensated: { sign: '↺', colour: 'dim' },
  compensationFailed: { sign: '■', colour: 'red' },
  paused: { sign: '‖', colour: 'yellow' },
  failing: { sign: '■', colour: 'red' },
  cancelling: { sign: '⊘', colour: 'yellow' },
};
// An unknown state, of a newer server, is drawn as itself.
export const glyphOf = (state: string): Glyph => glyphs[state] ?? { sign: '◌', colour: 'dim' };

const ended = new Set(['succeeded', 'failed', 'cancelled', 'skipped', 'compensated', 'compensationFailed']);
export const isEnded = (state: string): boolean => ended.has(state);
const needsALook = new Set(['waiting', 'failed', 'retrying', 'compensationFailed']);

export interface Drawing {
  readonly plan: PlanSummary;
  readonly tasks: readonly TaskState[];
  readonly progress: ReadonlyMap<string, string>;
  readonly live: boolean;
  readonly now: number;
  /** Only what waits, failed or is tried again. */
  readonly onlyLooks: boolean;
}

/** The plan as lines of the terminal's width: heading, bar, one line a task, exceptions of a forEach below it. */
export function drawPlan(terminal: Terminal, drawing: Drawing): string[] {
  const { plan, tasks, live } = drawing;
  const { columns, paint } = terminal;
  const top = tasks.filter((task) => task.parent === undefined);
  const items = new Map<string, TaskState[]>();
  for (const task of tasks)
    if (task.parent !== undefined) items.set(task.parent, [...(items.get(task.parent) ?? []), task]);
  const onPath = criticalPath(top, drawing.now);
  const done = top.filter((task) => isEnded(task.state)).length;
  const failed = tasks.filter((task) => task.state === 'failed').length;
  const state = glyphOf(plan.state);
  const title = cut(safe(plan.title), columns - plan.planId.length - 12);
  const lines = [
    spread(
      columns,
      `${paint('bold', title)}  ${paint('dim', plan.planId)}`,
      live ? paint('green', '● live') : paint('dim', 'not live'),
    ),
    spread(
      columns,
      `${paint(state.colour, `${state.sign} ${plan.state}`)} ${paint('dim', '·')} ${done} of ${top.length} tasks` +
        (failed > 0 ? ` ${paint('dim', '·')} ${paint('red', `${failed} failed`)}` : ''),
      elapsed(plan, drawing.now),
    ),
    bar(terminal, top, columns),
    '',
  ];
  for (const task of layered(top)) {
    const children = items.get(task.id) ?? [];
    const looks = children.filter((item) => needsALook.has(item.state));
    if (drawing.onlyLooks && !needsALook.has(task.state) && looks.length === 0) continue;
    lines.push(row(terminal, drawing, task, onPath.has(task.id) ? '┃ ' : '  '));
    for (const item of looks.slice(0, 8)) lines.push(row(terminal, drawing, item, '  '));
    if (looks.length > 8) lines.push(paint('dim', `      and ${looks.length - 8} more`));
  }
  lines.push('', paint('dim', '┃ critical path   ✓ done  ► running  ◆ waits for a person  ■ failed  ○ to come'));
  return lines;
}

function row(terminal: Terminal, drawing: Drawing, task: TaskState, mark: string): string {
  const { sign, colour } = glyphOf(task.state);
  const { columns, paint } = terminal;
  const time = spent(task, drawing.now);
  const name = pad(`${mark}${cut(safe(task.title || task.id), 28)}`, 32);
  const room = columns - 36 - time.length - 2;
  const forEach = Object.keys(task.items).length > 0;
  return spread(
    columns,
    `  ${paint(sign === '✓' ? 'green' : colour, sign)} ${name}${forEach ? itemBar(terminal, task) : paint(noteColour(task), cut(note(task, drawing.progress), room))}`,
    time,
  );
}

const noteColour = (task: TaskState): Colour =>
  task.state === 'failed' ? 'red' : task.state === 'waiting' ? 'yellow' : 'dim';

function note(task: TaskState, progress: ReadonlyMap<string, string>): string {
  if (task.failure) return safe(`${task.failure.type}: ${task.failure.message}`);
  if (task.state === 'waiting') return safe(task.reason ?? 'waits for a person');
  if (task.state === 'running') return safe(progress.get(task.id) ?? task.agent ?? '');
  if (task.state === 'dispatched') return 'waits for an agent';
  if (task.state === 'succeeded' && task.attempt > 1) return `try ${task.attempt}`;
  return safe(task.reason ?? '');
}

function itemBar(terminal: Terminal, task: TaskState): string {
  const counts = Object.entries(task.items);
  const total = counts.reduce((sum, [, n]) => sum + n, 0);
  const failed = task.items['failed'] ?? 0;
  const done = task.items['succeeded'] ?? 0;
  const cells = Math.min(total, 15);
  const scale = (n: number): number => (total === 0 ? 0 : Math.round((n / total) * cells));
  const [green, red] = [scale(done), scale(failed)];
  return (
    terminal.paint('green', '█'.repeat(green)) +
    terminal.paint('red', '█'.repeat(red)) +
    terminal.paint('dim', '·'.repeat(Math.max(0, cells - green - red))) +
    ` ${done}${done < total ? ` of ${total}` : ''}${failed > 0 ? `, ${failed} failed` : ''}`
  );
}

function bar(terminal: Terminal, tasks: readonly TaskState[], columns: number): string {
  const share = (n: number): number => Math.round((n / Math.max(1, tasks.length)) * columns);
  const count = (test: (task: TaskState) => boolean): number => tasks.filter(test).length;
  const done = share(count((task) => isEnded(task.state) && task.state !== 'failed'));
  const failed = share(count((task) => task.state === 'failed'));
  const running = Math.min(
    columns - done - failed,
    share(count((task) => task.state === 'running' || task.state === 'waiting')),
  );
  return (
    terminal.paint('green', '█'.repeat(done)) +
    terminal.paint('red', '█'.repeat(failed)) +
    terminal.paint('blue', '█'.repeat(running)) +
    terminal.paint('dim', '·'.repeat(Math.max(0, columns - done - failed - running)))
  );
}

/** Tasks in the order in which they can run; within a layer, in the plan's order. */
export function layered(tasks: readonly TaskState[]): readonly TaskState[] {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const depths = new Map<string, number>();
  const depth = (task: TaskState): number => {
    const known = depths.get(task.id);
    if (known !== undefined) return known;
    depths.set(task.id, 0);
    const before = [...task.needs, ...task.after].flatMap((id) => byId.get(id) ?? []);
    const value = before.reduce((most, one) => Math.max(most, depth(one) + 1), 0);
    depths.set(task.id, value);
    return value;
  };
  return tasks
    .map((task, index) => ({ task, index, depth: depth(task) }))
    .sort((a, b) => a.depth - b.depth || a.index - b.index)
    .map(({ task }) => task);
}

/** The longest path by measured time; what has not begun counts as nothing yet. */
export function criticalPath(tasks: readonly TaskState[], now: number): ReadonlySet<string> {
  const best = new Map<string, { readonly cost: number; readonly from?: string }>();
  for (const task of layered(tasks)) {
    let from: string | undefined;
    let before = -1;
    for (const id of [...task.needs, ...task.after]) {
      const cost = best.get(id)?.cost ?? 0;
      if (cost > before) [before, from] = [cost, id];
    }
    best.set(task.id, { cost: Math.max(0, before) + 1 + lasted(task, now), ...(from !== undefined && { from }) });
  }
  let last = [...best].reduce<[string, number] | undefined>(
    (most, [id, { cost }]) => (most && most[1] >= cost ? most : [id, cost]),
    undefined,
  )?.[0];
  const path = new Set<string>();
  while (last !== undefined && !path.has(last)) {
    path.add(last);
    last = best.get(last)?.from;
  }
  return path;
}

const at = (time: { readonly seconds: bigint; readonly nanos: number } | undefined): number | undefined =>
  time && Number(time.seconds) * 1000 + time.nanos / 1e6;

function lasted(task: TaskState, now: number): number {
  const start = at(task.startedAt) ?? at(task.readyAt);
  return start === undefined ? 0 : Math.max(0, (at(task.endedAt) ?? now) - start);
}
function spent(task: TaskState, now: number): string {
  const time = lasted(task, now);
  return time === 0 || task.state === 'pending' || task.state === 'queued' ? '' : duration(time);
}
function elapsed(plan: PlanSummary, now: number): string {
  const start = at(plan.startedAt);
  return start === undefined ? '' : duration((at(plan.endedAt) ?? now) - start);
}
