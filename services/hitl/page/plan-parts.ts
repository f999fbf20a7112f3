import type { PlanSummary, TaskState } from '../../../proto/aats/project/v1/project_pb';
import { fold, foldEnds, type GraphNode, withoutShortcuts } from './graph-fold';
import { drawGraph, shapeWords } from './graph-svg';
import { foreign, markup, type Html, type Part } from './html';
import { bar, glyph, type Shape, stateMark } from './marks';
import { approvalPath } from './inbox-page';
import { graphTasks, planShape, type Reader, shapeOf, stateWords, tookMilliseconds } from './task-words';
import { titlesOf, type Titles } from './titles';
import { dateOf, duration, list, moment, personName, plural, thousands, whoMay } from './words';

/** A plan as it stands, for one reader at one moment: what the parts of its page are made of. */
export interface PlanNow {
  readonly plan: PlanSummary;
  readonly tasks: readonly TaskState[];
  readonly reader: Reader;
  readonly now: Date;
}

// Layers that fit beside each other at 1280 pixels.
const layersAcross = 7;

/** The drawing, across and down: the style sheet shows the one that fits. */
export function graphPart(
  state: PlanNow,
  options: { open: ReadonlySet<string>; layers?: number; href: (node: GraphNode) => string },
): Html {
  const { open, layers = layersAcross, href } = options;
  const unfolded = open.has('so-far') || open.has('to-come');
  const folded = withoutShortcuts(fold(graphTasks(state.tasks, state.reader, state.now), open));
  const nodes = foldEnds(folded, unfolded ? Infinity : layers);
  const shapes = (Object.keys(shapeWords) as Shape[]).filter((shape) =>
    nodes.some(({ state: own, members }) => own === shape || members.some((member) => member.state === shape)),
  );
  const critical = nodes.some((node) => node.critical);
  return markup`<div class="canvas" tabindex="0" role="region" aria-label="The plan as a graph">${drawGraph(nodes, 'across', href)}${drawGraph(nodes, 'down', href)}</div><p class="legend">${shapes.map((shape) => markup`<span>${glyph(shape)}${shapeWords[shape]}</span>`)}${critical && markup`<span><svg class="k" aria-hidden="true"><path d="M0 5H26"/></svg>critical path</span>`}</p>`;
}

const parentsIn = (tasks: readonly TaskState[]): ReadonlySet<string> =>
  new Set(tasks.flatMap(({ parent }) => parent ?? []));

/** Where a plan stands, as a sentence. */
export function standing({ plan, tasks, reader, now }: PlanNow): string {
  const [waiting] = plan.waitingFor;
  const parents = parentsIn(tasks);
  if (plan.state === 'running' && waiting) {
    const yours = reader.asked.has(waiting.approvalId);
    return `Waiting for ${whoMay(waiting.by, yours, reader.name)}: ${waiting.title}`;
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
  const yours = plan.waitingFor.find(({ approvalId }) => reader.asked.has(approvalId));
  return markup`<p class="row">${stateMark(planShape(plan, yours !== undefined), foreign(standing(state)))}<span class="quiet small">Started ${moment(dateOf(plan.startedAt), now)} by ${personName(plan.owner)}</span></p>${yours && markup`<p class="row in"><a class="btn primary" href="${approvalPath(yours.approvalId)}">Answer: ${foreign(yours.title)}</a></p>`}`;
}

const endedStates = ['succeeded', 'failed', 'cancelled', 'skipped', 'compensated', 'compensationFailed'];

export function figuresPart({ plan, tasks, now }: PlanNow): Html {
  const parents = parentsIn(tasks);
  const own = tasks.filter(({ id }) => !parents.has(id));
  const of = (...states: readonly string[]): number => own.filter(({ state }) => states.includes(state)).length;
  const [ended, failed] = [of(...endedStates), of('failed', 'compensationFailed')];
  const [running, waiting] = [of('running', 'dispatched', 'retrying', 'compensating'), of('waiting')];
  const total = Math.max(1, own.length);
  const begun = dateOf(plan.startedAt) ?? now;
  const end = dateOf(plan.endedAt) ?? now;
  const people = peopleMilliseconds(own, now);
  const work = own
    .filter(({ approvalId }) => approvalId === undefined)
    .reduce((sum, task) => sum + (tookMilliseconds(task, now) ?? 0), 0);
  const agents = new Set(own.flatMap(({ agent }) => agent ?? []));
  const label = `${ended - failed} done, ${failed} failed, ${running} running, ${waiting} waiting, ${total - ended - running - waiting} not started`;
  return markup`<dl class="figs"><div><dt>Tasks</dt><dd>${thousands(ended)} <small>of ${thousands(own.length)} ended${failed > 0 && `, ${failed} failed`}</small>${bar(
    label,
    [
      ['d', (ended - failed) / total],
      ['f', failed / total],
      ['r', running / total],
      ['y', waiting / total],
    ],
  )}</dd></div><div><dt>Runs for</dt><dd>${duration(end.getTime() - begun.getTime())}</dd></div><div><dt>Agents worked</dt><dd>${duration(work)} <small>all together</small></dd></div>${people > 0 && markup`<div><dt>People took</dt><dd>${duration(people)} <small>not counted as work</small></dd></div>`}<div><dt>Agents</dt><dd>${agents.size} <small>${list([...agents].slice(0, 3))}${agents.size > 3 && ` and ${agents.size - 3} more`}</small></dd></div></dl>`;
}

/** Time in which a request was open, whatever else went on. */
export const peopleMilliseconds = (tasks: readonly TaskState[], now: Date): number =>
  tasks
    .filter(({ approvalId, state }) => approvalId !== undefined && state === 'waiting')
    .reduce((sum, task) => {
      const asked = dateOf(task.readyAt);
      return sum + (asked ? now.getTime() - asked.getTime() : 0);
    }, 0);

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
  'idle',
];
const rowsShown = 200;

export interface TaskTable {
  readonly order: TaskOrder;
  readonly open: ReadonlySet<string>;
  readonly chosen: string | undefined;
  /** Address of the page with another task chosen, or another group opened. */
  readonly href: (change: { readonly task?: string; readonly open?: string }) => string;
}

/** Tasks with what needs a look first; a forEach that went well is one row until it is opened. */
export function tasksPart(state: PlanNow, table: TaskTable): Html {
  const { tasks, reader } = state;
  const itemsOf = new Map<string, TaskState[]>();
  for (const task of tasks)
    if (task.parent !== undefined) itemsOf.set(task.parent, [...(itemsOf.get(task.parent) ?? []), task]);
  const needsLook = (task: TaskState): boolean =>
    ['failed', 'compensationFailed', 'retrying', 'waiting'].includes(task.state) || task.attempt > 1;
  const shown = tasks.filter((task) => {
    if (table.order === 'failed') return ['failed', 'compensationFailed'].includes(task.state) && !itemsOf.has(task.id);
    if (table.order === 'running')
      return ['running', 'dispatched', 'retrying'].includes(task.state) && !itemsOf.has(task.id);
    if (task.parent === undefined) return true;
    return table.open.has(task.parent) || task.id === table.chosen || needsLook(task);
  });
  const rank = (task: TaskState): number => lookFirst.indexOf(shapeOf(task, reader));
  const sorted =
    table.order === 'look'
      ? shown
          .map((task, index) => [task, index] as const)
          .sort(([a, i], [b, j]) => rank(a) - rank(b) || i - j)
          .map(([task]) => task)
      : shown;
  const rows = sorted.slice(0, rowsShown);
  const titles = titlesOf(tasks);
  return markup`<div class="tbl flow" tabindex="0" role="region" aria-label="Tasks"><table><thead><tr><th scope="col">Task</th><th scope="col">State</th><th scope="col">Agent</th><th scope="col" class="num">Tries</th><th scope="col" class="num">Took</th></tr></thead><tbody>${rows.map((task) => row(state, task, itemsOf.get(task.id), table, titles))}</tbody></table></div>${rows.length === 0 && markup`<p class="soft in">No task is in this state.</p>`}${sorted.length > rowsShown && markup`<p class="small quiet in">The first ${rowsShown} of ${thousands(sorted.length)}; choose a state to see others.</p>`}`;
}

function row(
  state: PlanNow,
  task: TaskState,
  items: readonly TaskState[] | undefined,
  table: TaskTable,
  titles: Titles,
): Html {
  const { reader, now } = state;
  const took = tookMilliseconds(task, now);
  const isOpen = table.open.has(task.id);
  const words: Part = items ? itemsWords(items) : foreign(stateWords(task, reader, now));
  const agents = items ? [...new Set(items.flatMap(({ agent }) => agent ?? []))] : [];
  const agent =
    task.approvalId !== undefined
      ? 'people'
      : items
        ? agents.length > 1
          ? plural(agents.length, 'agent')
          : (agents[0] ?? '')
        : (task.agent ?? '');
  const tries = items ? items.reduce((sum, { attempt }) => sum + attempt, 0) : task.attempt;
  const link = items ? table.href({ open: task.id }) : table.href({ task: task.id });
  const shape = items ? groupShape(items, reader) : shapeOf(task, reader);
  return markup`<tr data-row${task.id === table.chosen && markup` class="sel"`}><td><a href="${link}">${foreign(titles.full(task))}</a>${items && markup` <span class="tag">${items.length}${isOpen && ' shown'}</span>`}</td><td data-l="State">${stateMark(shape, words)}</td><td data-l="Agent">${agent}</td><td class="num" data-l="Tries">${tries > 0 && tries}</td><td class="num" data-l="Took">${took !== undefined && duration(took)}</td></tr>`;
}

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
