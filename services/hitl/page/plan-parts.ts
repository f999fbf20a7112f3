import type { PlanSummary, TaskState } from '../../../proto/aats/project/v1/project_pb';
import {
  type Gate,
  besideGates,
  gateMilliseconds,
  gateShape,
  gateWords,
  newestGates,
  peopleMilliseconds,
} from './gates';
import { boxesOf, everything, type GraphNode, type OpenGroups } from './graph-fold';
import { drawGraph, shapeWords } from './graph-svg';
import { graphList } from './graph-text';
import { isEnded } from '../../../workflows/plan-state';
import { itemsByParent } from '../../runtime/plan-figures';
import { foreign, markup, type Html, type Part } from './html';
import { bar, glyph, note, type Shape, stateMark } from './marks';
import { approvalPath } from './inbox-page';
import { graphTasks, planShape, type Reader, shapeOf, stateWords, tookMilliseconds } from './task-words';
import { titlesOf, type Titles } from './titles';
import {
  capital,
  dateOf,
  duration,
  list,
  median,
  moment,
  ordinal,
  personName,
  plural,
  shortDuration,
  thousands,
  whoMay,
} from './words';

/** A plan as it stands, for one reader at one moment: what the parts of its page are made of. */
export interface PlanNow {
  readonly plan: PlanSummary;
  readonly tasks: readonly TaskState[];
  readonly gates: readonly Gate[];
  readonly reader: Reader;
  readonly now: Date;
}

/** Layers that fit beside each other, and the pixels that they have. */
export const wholePage = { layers: 7, room: 1196 };
export const besideASlip = { layers: 4, room: 800 };
/** Down there is no end, but little room beside each other: groups stay whole. */
const phone = { layers: 30, room: 310, keep: 0 };

export interface Drawing {
  readonly open: OpenGroups;
  readonly fits: { readonly layers: number; readonly room: number; readonly keep?: number };
  readonly href: (node: GraphNode) => string;
  readonly asText?: boolean;
}

/** The boxes of the drawing, each with the address that it leads to; undefined when they are too many. */
export function drawnBoxes(
  state: PlanNow,
  { open, fits, href }: Drawing,
): { readonly nodes: readonly GraphNode[]; readonly address: (node: GraphNode) => string } | undefined {
  const nodes = boxesOf(graphTasks(state), open, fits);
  return nodes && { nodes, address: (node) => node.address ?? href(node) };
}

/** The drawing, across and down: the style sheet shows the one that fits. Or what it says as text. */
export function graphPart(state: PlanNow, drawing: Drawing): Html {
  const drawn = drawnBoxes(state, drawing);
  if (!drawn)
    return markup`<p class="soft in">This plan has more steps than fit into a picture, even folded. The table below has them all.</p>`;
  const { nodes, address } = drawn;
  if (drawing.asText === true) return graphList(nodes, address);
  const shapes = (Object.keys(shapeWords) as Shape[]).filter((shape) =>
    nodes.some(({ state: own, members }) => own === shape || members.some((member) => member.state === shape)),
  );
  const critical = nodes.some((node) => node.critical);
  const down = drawnBoxes(state, { ...drawing, fits: phone })?.nodes ?? nodes;
  return markup`<div class="canvas" tabindex="0" role="region" aria-label="The plan as a graph">${drawGraph(nodes, { direction: 'across', room: drawing.fits.room, href: address })}${drawGraph(down, { direction: 'down', room: phone.room, href: address })}</div><p class="legend">${shapes.map((shape) => markup`<span>${glyph(shape)}${shapeWords[shape]}</span>`)}${critical && markup`<span><svg class="k" aria-hidden="true"><path d="M0 5H26"/></svg>critical path</span>`}</p>${foldedWords(nodes)}`;
}

function foldedWords(nodes: readonly GraphNode[]): Part {
  if (!nodes.some(({ folded }) => folded)) return undefined;
  const tasks = nodes.flatMap(({ members }) => members).filter(({ kind }) => kind === undefined).length;
  return markup`<p class="small quiet">${plural(tasks, 'task')} as ${plural(nodes.length, 'box', 'boxes')}. Folded is what went well. Failed and repeated tasks stay out, and the one that took longest.</p>`;
}

const parentsIn = (tasks: readonly TaskState[]): ReadonlySet<string> =>
  new Set(tasks.flatMap(({ parent }) => parent ?? []));

/** Where a plan stands, as a sentence. */
export function standing({ plan, tasks, reader, now }: PlanNow): string {
  const [waiting] = plan.waitingFor;
  const parents = parentsIn(tasks);
  if (plan.state === 'running' && waiting) {
    const yours = reader.asked.has(waiting.approvalId);
    return `Waiting for ${yours ? 'you' : whoMay(waiting.by, false, reader.name)}: ${waiting.title}`;
  }
  const busy = tasks.filter(
    ({ state, id }) => ['running', 'retrying', 'compensating'].includes(state) && !parents.has(id),
  );
  switch (plan.state) {
    case 'running':
      return busy.length === 1 && busy[0]
        ? `Running: ${titlesOf(tasks).full(busy[0])}`
        : busy.length > 1
          ? `Running ${plural(busy.length, 'task')}`
          : 'Running';
    case 'paused':
      return busy.length > 0 ? `Paused; ${plural(busy.length, 'task')} that began may finish` : 'Paused';
    case 'failing':
      return 'Failing: what was done is being put back';
    case 'cancelling':
      return 'Being cancelled: agents are told to stop';
    case 'succeeded': {
      const ended = dateOf(plan.endedAt);
      const begun = dateOf(plan.startedAt);
      return ended && begun ? `Done in ${duration(ended.getTime() - begun.getTime())}` : 'Done';
    }
    case 'failed':
      return `Failed${plan.failure ? `: ${plan.failure.message}` : ''}`;
    case 'cancelled':
      return `Cancelled${plan.compensation === 'incomplete' ? ', and not everything could be put back' : ''}`;
    default:
      return `${plan.state} at ${now.toISOString()}`;
  }
}

export function headPart(state: PlanNow): Html {
  const { plan, reader, now } = state;
  const yours = plan.waitingFor.some(({ approvalId }) => reader.asked.has(approvalId));
  return markup`<p class="row">${stateMark(planShape(plan, yours), foreign(standing(state)))}<span class="quiet small">Started ${moment(dateOf(plan.startedAt), now)} by ${personName(plan.owner)}${plan.endedAt && markup`, ended ${moment(dateOf(plan.endedAt), now)}`}</span></p>`;
}

/** What the plan wants of the reader; the next step is the one filled button. */
export function askPart({ plan, tasks, reader }: PlanNow): Html {
  const yours = plan.waitingFor.filter(({ approvalId }) => reader.asked.has(approvalId));
  const busy = tasks.filter(({ state }) => ['running', 'retrying'].includes(state)).length;
  return markup`${yours.map(({ approvalId, title, since }, index) =>
    note(
      'ask',
      markup`${foreign(title)}`,
      markup`<p>It waits for you since ${moment(dateOf(since), new Date())}.${busy > 0 && ` ${plural(busy, 'other task')} ${busy === 1 ? 'goes' : 'go'} on.`}</p><p class="row"><a class="btn${index === 0 ? ' primary' : ''}" href="${approvalPath(approvalId)}">Look and answer</a></p>`,
      `ask-${index}`,
    ),
  )}`;
}

export function figuresPart({ plan, tasks, gates, now }: PlanNow): Html {
  const parents = parentsIn(tasks);
  const own = tasks.filter(({ id }) => !parents.has(id));
  const of = (...states: readonly string[]): number => own.filter(({ state }) => states.includes(state)).length;
  const [ended, failed] = [own.filter(isEnded).length, of('failed', 'compensationFailed')];
  const [running, waiting] = [of('running', 'retrying', 'compensating'), of('waiting')];
  const total = Math.max(1, own.length);
  const begun = dateOf(plan.startedAt) ?? now;
  const elapsed = (dateOf(plan.endedAt) ?? now).getTime() - begun.getTime();
  const people = peopleMilliseconds(gates, now);
  const agents = new Set(own.flatMap(({ agent }) => agent ?? []));
  // Cancelled and undone tasks have ended too, and are not done.
  const done = of('succeeded', 'skipped');
  const label = `${done} done, ${failed} failed, ${ended - done - failed} cancelled or undone, ${running} running, ${waiting} waiting, ${total - ended - running - waiting} not started`;
  const rate = endedWithin(own, now, 60_000);
  const allowed = failed > 0 && ['running', 'paused', 'succeeded'].includes(plan.state);
  return markup`<dl class="figs"><div><dt>Tasks</dt><dd>${thousands(ended)} <small>of ${thousands(own.length)} ended${failed > 0 && `, ${failed} failed${allowed ? ' and allowed to' : ''}`}</small>${bar(
    label,
    [
      ['d', done / total],
      ['f', failed / total],
      ['a', (ended - done - failed) / total],
      ['r', running / total],
      ['y', waiting / total],
    ],
  )}</dd></div><div><dt>Machines worked</dt><dd>${duration(elapsed - people)}</dd></div>${gates.length > 0 && markup`<div><dt>People took</dt><dd>${duration(people)} <small>for ${plural(gates.length, 'request')}</small></dd></div>`}${plan.state === 'running' && own.length >= 100 && markup`<div><dt>Rate</dt><dd>${thousands(rate)} <small>${rate === 1 ? 'task' : 'tasks'} in the last minute</small></dd></div>`}<div><dt>Agents</dt><dd>${agents.size} <small>${list(agents.size > 4 ? [...[...agents].slice(0, 3), `${agents.size - 3} more`] : [...agents])}</small></dd></div></dl>`;
}

const endedWithin = (tasks: readonly TaskState[], now: Date, milliseconds: number): number =>
  tasks.filter(({ endedAt }) => {
    const at = dateOf(endedAt);
    return at !== undefined && now.getTime() - at.getTime() < milliseconds;
  }).length;

export const taskOrders = {
  look: 'Needs a look first',
  plan: 'In the plan’s order',
  failed: 'Failed',
  running: 'Running',
} as const;
export type TaskOrder = keyof typeof taskOrders;
const lookFirst: readonly Shape[] = [
  'you',
  'failed',
  'retrying',
  'waiting',
  'running',
  'paused',
  'done',
  'ifneeded',
  'cancelled',
  'skipped',
  'unknown',
  'idle',
];
const rowsShown = 200;

export interface TaskTable {
  readonly order: TaskOrder;
  readonly open: OpenGroups;
  readonly chosen: string | undefined;
  /** Address of the page with another task chosen, or another group opened. */
  readonly href: (change: { readonly task?: string; readonly open?: string }) => string;
}

/** A row of the table: a task, all items of a forEach, or a request to people. */
interface Row {
  readonly title: string;
  readonly tag?: string | undefined;
  readonly href: string;
  readonly shape: Shape;
  readonly words: string;
  readonly agent: string;
  readonly tries: number;
  readonly took: string | undefined;
  readonly chosen: boolean;
}

/** Tasks with what needs a look first; a forEach that went well is one row until it is opened. */
export function tasksPart(state: PlanNow, table: TaskTable): Html {
  const gateOf = newestGates(state.gates);
  const tasks = besideGates(state.tasks, gateOf);
  const itemsOf = itemsByParent(tasks);
  const isOpen = (id: string): boolean => table.open.has(id) || table.open.has(everything);
  const isShown = (task: TaskState): boolean => {
    const items = itemsOf.get(task.id);
    if (table.order === 'failed') return ['failed', 'compensationFailed'].includes(task.state) && !items;
    if (table.order === 'running') return ['running', 'dispatched', 'retrying'].includes(task.state) && !items;
    if (task.parent === undefined) return true;
    return isOpen(task.parent) || task.id === table.chosen || needsALook(task);
  };
  const shown = tasks.filter(isShown);
  const apart = new Map<string, number>();
  for (const { parent } of shown) if (parent !== undefined) apart.set(parent, (apart.get(parent) ?? 0) + 1);
  const titles = titlesOf(tasks);
  const withGates = table.order === 'look' || table.order === 'plan';
  const rows = shown.flatMap((task): readonly Row[] => {
    const items = itemsOf.get(task.id);
    const gate = withGates ? gateOf.get(task.id) : undefined;
    const own = items
      ? groupRow(state, task, items, items.length - (apart.get(task.id) ?? 0), table, titles)
      : taskRow(state, task, table, titles);
    if (!gate) return [own];
    return gate.at === 'before' ? [gateRow(state, gate, task), own] : [own, gateRow(state, gate, task)];
  });
  const rank = ({ shape }: Row): number => lookFirst.indexOf(shape);
  const sorted = table.order === 'look' ? [...rows].sort((a, b) => rank(a) - rank(b)) : rows; // equal ones keep their order
  return markup`<div class="tbl flow" tabindex="0" role="region" aria-label="Tasks"><table><thead><tr><th scope="col">Task</th><th scope="col">State</th><th scope="col">Agent</th><th scope="col" class="num">Tries</th><th scope="col" class="num">Took</th></tr></thead><tbody>${sorted.slice(0, rowsShown).map(rowView)}</tbody></table></div>${sorted.length === 0 && markup`<p class="soft in">No task is in this state.</p>`}${sorted.length > rowsShown && markup`<p class="small quiet in">The first ${rowsShown} of ${thousands(sorted.length)}; choose a state to see others.</p>`}`;
}

const needsALook = (task: TaskState): boolean =>
  ['failed', 'compensationFailed', 'retrying', 'waiting'].includes(task.state) || task.attempt > 1;

const rowView = ({ title, tag, href, shape, words, agent, tries, took, chosen }: Row): Html =>
  markup`<tr data-row${chosen && markup` class="sel"`}><td><a href="${href}">${foreign(title)}</a>${tag !== undefined && markup` <span class="tag">${tag}</span>`}</td><td data-l="State">${stateMark(shape, foreign(capital(words)))}</td><td data-l="Agent">${agent}</td><td class="num" data-l="Tries">${tries > 0 && thousands(tries)}</td><td class="num" data-l="Took">${took}</td></tr>`;

const tookWords = (milliseconds: number | undefined): string | undefined =>
  milliseconds === undefined ? undefined : shortDuration(milliseconds);

function taskRow({ reader, now }: PlanNow, task: TaskState, table: TaskTable, titles: Titles): Row {
  return {
    title: titles.full(task),
    href: table.href({ task: task.id }),
    shape: shapeOf(task, reader),
    // How long it took stands in its own column.
    words:
      task.state === 'succeeded'
        ? `done${task.attempt > 1 ? `, ${ordinal(task.attempt)} try` : ''}`
        : stateWords(task, reader, now),
    agent: task.agent ?? '',
    tries: task.attempt,
    took: tookWords(tookMilliseconds(task, now)),
    chosen: task.id === table.chosen,
  };
}

function groupRow(
  { reader, now }: PlanNow,
  task: TaskState,
  items: readonly TaskState[],
  rest: number,
  table: TaskTable,
  titles: Titles,
): Row {
  const agents = [...new Set(items.flatMap(({ agent }) => agent ?? []))];
  const took = items.filter(isEnded).flatMap((item) => tookMilliseconds(item, now) ?? []);
  return {
    title: titles.full(task),
    tag:
      rest === items.length
        ? thousands(rest)
        : rest === 0
          ? `${thousands(items.length)} shown`
          : `${thousands(rest)} more`,
    href: table.href({ open: task.id }),
    shape: groupShape(items, reader),
    words: itemsWords(items),
    agent: agents.length > 1 ? plural(agents.length, 'agent') : (agents[0] ?? ''),
    tries: items.reduce((sum, { attempt }) => sum + attempt, 0),
    took: took.length > 0 ? `${shortDuration(median(took))} each` : undefined,
    chosen: false,
  };
}

const gateRow = ({ reader, now }: PlanNow, gate: Gate, task: TaskState): Row => ({
  title: gate.title,
  href: approvalPath(gate.approvalId),
  shape: gateShape(gate, task, reader),
  words: gateWords(gate, task, reader),
  agent: 'people',
  tries: gate.round,
  took: tookWords(gateMilliseconds(gate, now)),
  chosen: false,
});

function groupShape(items: readonly TaskState[], reader: Reader): Shape {
  const shapes = items.map((item) => shapeOf(item, reader));
  return (
    lookFirst.find((shape) => shape !== 'done' && shape !== 'idle' && shape !== 'skipped' && shapes.includes(shape)) ??
    (shapes.every((shape) => shape === 'idle')
      ? 'idle'
      : shapes.every((shape) => shape === 'done' || shape === 'skipped')
        ? 'done'
        : 'running')
  );
}
function itemsWords(items: readonly TaskState[]): string {
  const of = (...states: readonly string[]): number => items.filter(({ state }) => states.includes(state)).length;
  const [done, failed] = [of('succeeded', 'skipped'), of('failed', 'compensationFailed')];
  if (done === items.length) return 'All done';
  return [`${done} of ${items.length} done`, ...(failed > 0 ? [`${failed} failed`] : [])].join(', ');
}
