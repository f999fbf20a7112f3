import type { PlanSummary, TaskState } from '../proto/aats/project/v1/project_pb';
import {
  criticalPath,
  itemsByParent,
  layered,
  leavesOf,
  milliseconds,
  peopleTook,
  took,
  worked,
} from '../services/runtime/plan-figures';
import { isEnded } from '../workflows/plan-state';
import {
  clock,
  cut,
  duration,
  list,
  pad,
  plural,
  safe,
  spread,
  whoWords,
  width,
  type Colour,
  type Terminal,
} from './terminal';

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

export const planHasEnded = ({ state }: PlanSummary): boolean => ['succeeded', 'failed', 'cancelled'].includes(state);
const busy = new Set(['dispatched', 'running', 'compensating']);
const isTrouble = ({ state }: TaskState): boolean =>
  ['waiting', 'failed', 'retrying', 'compensationFailed'].includes(state);
// What went well at the second try tells of a lost agent.
const needsALook = (task: TaskState): boolean => isTrouble(task) || (task.state === 'succeeded' && task.attempt > 1);
const shownItems = 8;

export interface Drawing {
  readonly plan: PlanSummary;
  readonly tasks: readonly TaskState[];
  readonly progress: ReadonlyMap<string, string>;
  /** Since when nothing was heard; absent while the stream stands. */
  readonly silentSince?: Date;
  /** One reading of the plan, and no stream. */
  readonly isReading?: boolean;
  readonly now: number;
  /** Only what waits, failed or is tried again. */
  readonly onlyLooks: boolean;
  /** Lines that there is room for; absent: as many as it takes. */
  readonly room?: number;
}
interface Row {
  readonly kind: 'done' | 'look' | 'busy' | 'toCome';
  readonly tasks: number;
  readonly lines: readonly string[];
}

/** The plan as lines of the terminal's width: heading, bar, a line a task, exceptions of a forEach below it, the signs. */
export function drawPlan(terminal: Terminal, drawing: Drawing): string[] {
  const head = heading(terminal, drawing);
  const legend = '┃ critical path   ✓ done  ► running  ◆ waits for a person  ■ failed  ○ to come';
  const tail = ['', terminal.paint('dim', legend)];
  const room = drawing.room === undefined ? Infinity : drawing.room - head.length - tail.length;
  return [...head, ...fold(terminal, rows(terminal, drawing), room), ...tail];
}

function heading(terminal: Terminal, drawing: Drawing): string[] {
  const { plan, tasks, now } = drawing;
  const { columns, paint } = terminal;
  const leaves = leavesOf(tasks);
  const failed = leaves.filter(({ state }) => state === 'failed');
  // It went on after them: their forEach, or the plan, allows so many.
  const succeeded = new Set(tasks.flatMap(({ id, state }) => (state === 'succeeded' ? [id] : [])));
  const allowed = failed.every(({ parent }) =>
    parent === undefined ? !['failing', 'failed'].includes(plan.state) : succeeded.has(parent),
  );
  const { sign, colour } = glyphOf(plan.state);
  const news = streamWords(terminal, drawing);
  const title = cut(safe(plan.title), columns - plan.planId.length - width(news) - 4);
  const facts = [
    paint(colour, `${sign} ${plan.state}`),
    `${leaves.filter(isEnded).length} of ${plural(leaves.length, 'task')}`,
    ...(failed.length > 0 ? [paint('red', `${failed.length} failed`) + (allowed ? ', allowed to' : '')] : []),
  ];
  const people = peopleTook(leaves, now);
  const all = duration(lastOf(plan, now) - (milliseconds(plan.startedAt) ?? now));
  const times =
    columns < 110
      ? [all]
      : [
          `machines ${duration(worked(leaves, now))}`,
          ...(people > 0 ? [`people ${duration(people)}`] : []),
          `in all ${all}`,
        ];
  return [
    spread(columns, `${paint('bold', title)}  ${paint('dim', plan.planId)}`, news),
    spread(columns, facts.join(` ${paint('dim', '·')} `), times.join(' · ')),
    bar(terminal, leaves),
    ...(plan.failure
      ? ['', `  ${paint('red', cut(safe(`${plan.failure.type}: ${plan.failure.message}`), columns - 2))}`]
      : []),
    '',
  ];
}
const lastOf = (plan: PlanSummary, now: number): number => milliseconds(plan.endedAt) ?? now;

function streamWords({ paint }: Terminal, { plan, silentSince, isReading, now }: Drawing): string {
  if (planHasEnded(plan)) return paint('dim', `ended ${clock(new Date(lastOf(plan, now)))}`);
  if (silentSince) return paint('yellow', `○ not live since ${clock(silentSince)}`);
  return isReading ? paint('dim', `read at ${clock(new Date(now))}`) : paint('green', '● live');
}

function bar({ paint, columns }: Terminal, tasks: readonly TaskState[]): string {
  let [count, used] = [0, 0];
  // Ends are rounded, not widths, so that the parts always fill the line.
  const part = (test: (task: TaskState) => boolean): number => {
    count += tasks.filter(test).length;
    const cells = Math.round((count / Math.max(1, tasks.length)) * columns) - used;
    used += cells;
    return cells;
  };
  const failed = ({ state }: TaskState): boolean => state === 'failed' || state === 'compensationFailed';
  return (
    paint('green', '█'.repeat(part((task) => isEnded(task) && !failed(task)))) +
    paint('red', '█'.repeat(part(failed))) +
    paint('blue', '█'.repeat(part(({ state }) => busy.has(state)))) +
    paint('yellow', '█'.repeat(part(({ state }) => state === 'waiting' || state === 'retrying'))) +
    paint('dim', '·'.repeat(columns - used))
  );
}

function rows(terminal: Terminal, drawing: Drawing): readonly Row[] {
  const { plan, tasks, onlyLooks, now } = drawing;
  const { paint } = terminal;
  const items = itemsByParent(tasks);
  const top = tasks.filter(({ parent }) => parent === undefined);
  const onPath = criticalPath(top, (task) => took(task, now) ?? 0);
  const names = namesOf(tasks, items);
  const nameWidth = Math.min(
    Math.max(24, ...[...names.values()].map((name) => width(name) + 4)),
    Math.floor(terminal.columns * 0.42),
  );
  const line = (task: TaskState, mark: string, words: string): string =>
    row(terminal, {
      task,
      name: cut(`${mark} ${names.get(task.id) ?? ''}`, nameWidth - 2),
      nameWidth,
      words,
      time: timeWords(task, items.get(task.id) ?? [], now),
    });
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const drawn = layered(top).flatMap((task): readonly Row[] => {
    const own = items.get(task.id) ?? [];
    const looks = own.filter(needsALook).sort((a, b) => Number(isTrouble(b)) - Number(isTrouble(a)));
    const troubled = isTrouble(task) || looks.some(isTrouble);
    if (onlyLooks && !troubled) return [];
    const lines = [
      line(
        task,
        onPath.has(task.id) ? '┃' : ' ',
        own.length > 0 ? itemBar(terminal, own) : note(terminal, task, drawing, byId),
      ),
      ...looks.slice(0, shownItems).map((item) => line(item, ' ', note(terminal, item, drawing, byId))),
      ...(looks.length > shownItems ? [paint('dim', `      and ${looks.length - shownItems} more`)] : []),
      ...(task.state === 'waiting' && task.approvalId !== undefined
        ? [paint('dim', `      answer: aats approval show ${task.approvalId}`)]
        : []),
    ];
    const kind = troubled ? 'look' : isEnded(task) ? 'done' : task.state === 'pending' ? 'toCome' : 'busy';
    return [{ kind, tasks: 1, lines }];
  });
  if (onlyLooks && drawn.length === 0) return [{ kind: 'look', tasks: 0, lines: ['  Nothing needs a look.'] }];
  return planHasEnded(plan) || onlyLooks ? drawn : [...drawn, ...undoRows(terminal, top, names)];
}

/** What would be put back, should a later task fail; while that goes on, the tasks themselves say so. */
const undoRows = ({ paint }: Terminal, top: readonly TaskState[], names: ReadonlyMap<string, string>): readonly Row[] =>
  top
    .filter(({ hasCompensation, state }) => hasCompensation && !state.startsWith('compensat'))
    .map(({ id }) => ({
      kind: 'toCome',
      tasks: 1,
      lines: [paint('dim', `  ◦   Undo: ${cut(names.get(id) ?? '', 34)}   only if a later task fails`)],
    }));

/** What went well is folded first, then what is to come; what still has no room is counted. */
function fold({ paint }: Terminal, all: readonly Row[], room: number): readonly string[] {
  let shown = all;
  const lines = (): readonly string[] => shown.flatMap((one) => one.lines);
  for (const [kind, sign, word] of [
    ['done', paint('green', '✓'), 'done'],
    ['toCome', paint('dim', '○'), 'to come'],
  ] as const) {
    if (lines().length <= room) break;
    const of = shown.filter((one) => one.kind === kind);
    const first = shown.findIndex((one) => one.kind === kind);
    if (of.length < 2) continue;
    const folded: Row = { kind, tasks: of.length, lines: [`  ${sign}   ${of.length} ${word}`] };
    shown = shown.flatMap((one, index) => (index === first ? [folded] : one.kind === kind ? [] : [one]));
  }
  const whole = lines();
  if (whole.length <= room) return whole;
  const kept = Math.max(0, room - 1);
  return [...whole.slice(0, kept), paint('dim', `      … and ${plural(whole.length - kept, 'more line')}`)];
}

interface RowOptions {
  readonly task: TaskState;
  readonly name: string;
  readonly nameWidth: number;
  readonly words: string;
  readonly time: string;
}
function row({ columns, paint }: Terminal, { task, name, nameWidth, words, time }: RowOptions): string {
  const { sign, colour } = glyphOf(task.state);
  const start = `  ${paint(colour, sign)} ${pad(name, nameWidth)}`;
  return spread(columns, start + fit(words, columns - nameWidth - 6 - time.length), time).trimEnd();
}
/** Cuts a painted text: its one colour stays around what is left. */
function fit(words: string, columns: number): string {
  const [, open = '', text = '', close = ''] = /^(\u001b\[\d+m)?([^\u001b]*)(\u001b\[0m)?$/.exec(words) ?? [];
  return width(words) <= columns || text === '' ? words : open + cut(text, columns) + close;
}

/** A task, and an item by what is its own among its siblings: their titles begin alike. */
function namesOf(
  tasks: readonly TaskState[],
  items: ReadonlyMap<string, readonly TaskState[]>,
): ReadonlyMap<string, string> {
  const own = (task: TaskState): string => (isTitled(task) ? safe(task.title) : wordsOfId(task.id));
  const starts = new Map([...items].map(([id, siblings]) => [id, commonStart(siblings.filter(isTitled).map(own))]));
  return new Map(
    tasks.map((task) => {
      const name = own(task);
      const start = starts.get(task.parent ?? task.id) ?? '';
      if (start === '') return [task.id, name];
      if (task.parent === undefined) return [task.id, isTitled(task) ? name : `${start} …`];
      return [task.id, name.startsWith(`${start} `) ? name.slice(start.length + 1) : name];
    }),
  );
}
const isTitled = ({ id, title }: TaskState): boolean => title !== '' && title !== id;
const wordsOfId = (id: string): string => {
  const words = id.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
};
function commonStart(titles: readonly string[]): string {
  const [first = '', ...others] = titles;
  if (others.length === 0) return '';
  let words = first.split(' ').slice(0, -1);
  while (words.length > 0 && !others.every((other) => other.startsWith(`${words.join(' ')} `)))
    words = words.slice(0, -1);
  return words.join(' ');
}

function note({ paint }: Terminal, task: TaskState, drawing: Drawing, byId: ReadonlyMap<string, TaskState>): string {
  const { progress, plan } = drawing;
  const reason = safe(task.reason ?? '');
  const agent = safe(task.agent ?? '');
  switch (task.state) {
    case 'failed':
    case 'compensationFailed':
      return paint('red', safe(task.failure ? `${task.failure.type}: ${task.failure.message}` : reason));
    case 'retrying':
      return paint('yellow', `try ${task.attempt} failed: ${safe(task.failure?.message ?? reason)}`);
    case 'waiting': {
      const asked = plan.waitingFor.find(({ taskId }) => taskId === task.id);
      return paint('yellow', asked ? `${list(asked.by.map(whoWords), 'or')}: ${safe(asked.title)}` : reason);
    }
    case 'running':
      return paint('blue', [agent, progress.get(task.id) ?? ''].filter(Boolean).join(', '));
    case 'dispatched':
      return paint('dim', 'waits for an agent');
    case 'queued':
      return paint('dim', 'waits its turn');
    case 'succeeded':
      return paint('dim', task.attempt > 1 ? `try ${task.attempt}` : agent);
    case 'pending':
      return paint('dim', reason === '' && isNext(task, byId) ? 'next' : reason);
    default:
      return paint('dim', reason);
  }
}
/** Everything before it has ended or is under way. */
const isNext = ({ needs, after }: TaskState, byId: ReadonlyMap<string, TaskState>): boolean =>
  [...needs, ...after].every((id) => {
    const before = byId.get(id);
    return before === undefined || isEnded(before) || before.state !== 'pending';
  });

function itemBar({ paint }: Terminal, items: readonly TaskState[]): string {
  const total = items.length;
  const of = (...states: readonly string[]): number => items.filter(({ state }) => states.includes(state)).length;
  const [done, failed] = [of('succeeded', 'compensated'), of('failed')];
  const cells = Math.min(total, 15);
  const green = Math.round((done / total) * cells);
  const red = failed === 0 ? 0 : Math.max(1, Math.round((failed / total) * cells));
  const blue = Math.min(cells - green - red, Math.ceil((of('running', 'dispatched') / total) * cells));
  return (
    paint('green', '█'.repeat(green)) +
    paint('red', '█'.repeat(red)) +
    paint('blue', '█'.repeat(Math.max(0, blue))) +
    paint('dim', '·'.repeat(Math.max(0, cells - green - red - Math.max(0, blue)))) +
    ` ${done}${done + failed < total ? ` of ${total}` : ''}${failed > 0 ? `, ${paint('red', `${failed} failed`)}` : ''}`
  );
}

/** How long it took, or takes; of a forEach the middle one of its items. */
function timeWords(task: TaskState, items: readonly TaskState[], now: number): string {
  if (items.length === 0) {
    const time = took(task, now);
    return time === undefined || task.state === 'skipped' ? '' : duration(time);
  }
  const times = items.filter(isEnded).flatMap((item) => took(item, now) ?? []);
  times.sort((a, b) => a - b);
  const middle = times[Math.floor(times.length / 2)];
  return middle === undefined ? '' : `${duration(middle)} each`;
}
