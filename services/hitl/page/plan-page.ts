import { toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { Attempt, GetTaskResponse, TaskState } from '../../../proto/aats/project/v1/project_pb';
import type { Json } from '../../../workflows/contracts/json';
import { proofField } from './frame';
import { besideGates, gateWords, newestGates } from './gates';
import { foreign, markup, type Html, type Part } from './html';
import { approvalPath } from './inbox-page';
import { command, curl, glyph, stateMark, type Shape } from './marks';
import { everything, type OpenGroups } from './graph-fold';
import {
  askPart,
  type Drawing,
  figuresPart,
  graphPart,
  headPart,
  type PlanNow,
  type TaskOrder,
  taskOrders,
  tasksPart,
  type TaskTable,
  wholePage,
} from './plan-parts';
import { criticalTasks, shapeOf, stateWords } from './task-words';
import { titlesOf } from './titles';
import { artifactsIn, valueView } from './values';
import { capital, dateOf, duration, list, moment, thousands } from './words';

export interface PlanPage extends PlanNow {
  readonly proof: string;
  /** May pause, resume, cancel, retry (update on tasks). */
  readonly maySteer: boolean;
  readonly order: TaskOrder;
  readonly open: OpenGroups;
  /** The graph as a list of sentences. */
  readonly asText: boolean;
  /** Id of the task at the side. */
  readonly chosen?: string | undefined;
  readonly detail?: GetTaskResponse | undefined;
  readonly note?: Html | undefined;
}

export const planPath = (planId: string): string => `/plans/${planId}`;
const going = ['running', 'paused'];

/** Parts that change while the plan runs, by the id of the element that holds them. */
export function planParts(page: PlanPage): Readonly<Record<string, Html>> {
  return {
    'p-head': headPart(page),
    'p-ask': askPart(page),
    'p-figs': figuresPart(page),
    'p-steer': steer(page),
    'p-graph': graphPart(page, drawingOf(page)),
    'p-tasks': tasksPart(page, table(page)),
  };
}

const table = (page: PlanPage): TaskTable => ({
  order: page.order,
  open: page.open,
  chosen: page.chosen,
  href: address(page),
});

/** What the page draws, and where its boxes lead. */
export const drawingOf = (page: Pick<PlanPage, 'plan' | 'order' | 'open' | 'asText' | 'chosen'>): Drawing => ({
  open: page.open,
  fits: wholePage,
  asText: page.asText,
  href: ({ id, opens, kind }) =>
    address(page)(opens === undefined ? { task: kind === 'undo' ? id.replace(/^undo:/, '') : id } : { open: opens }),
});

interface Change {
  readonly task?: string;
  /** A group to open or fold, or `group~n`: from its n-th item on. */
  readonly open?: string;
  readonly asText?: boolean;
}

const address =
  ({ plan, order, open, chosen, asText }: Pick<PlanPage, 'plan' | 'order' | 'open' | 'chosen' | 'asText'>) =>
  (change: Change): string => {
    const query = new URLSearchParams();
    if (order !== 'look') query.set('show', order);
    if (change.asText ?? asText) query.set('graph', 'text');
    const opened = openText(change.open === undefined ? open : toggled(open, change.open));
    if (opened !== '') query.set('open', opened);
    const task = change.task ?? chosen;
    if (task !== undefined) query.set('task', task);
    return `${planPath(plan.planId)}${query.size > 0 ? `?${query.toString()}` : ''}${change.task === undefined ? '' : '#task'}`;
  };

function toggled(open: OpenGroups, change: string): OpenGroups {
  const [group = '', from] = change.split('~');
  if (from !== undefined) return new Map([...open, [group, Number(from)]]);
  if (open.has(everything)) return new Map();
  return open.has(group) ? new Map([...open].filter(([id]) => id !== group)) : new Map([...open, [group, 0]]);
}
export const openText = (open: OpenGroups): string =>
  [...open].map(([group, from]) => (from > 0 ? `${group}~${from}` : group)).join(',');

export function planMain(page: PlanPage): Html {
  const { plan, open, tasks, asText } = page;
  const parts = planParts(page);
  const part = (id: string): Html => markup`<div id="${id}" data-part>${parts[id]}</div>`;
  const to = address(page);
  const parents = new Set(tasks.flatMap(({ parent }) => parent ?? []));
  const canOpen = open.size === 0 && parents.size > 0;
  const file = (kind: string): string =>
    `${planPath(plan.planId)}/graph.${kind}${open.size > 0 ? `?open=${openText(open)}` : ''}`;
  return markup`<nav class="crumbs" aria-label="Where you are"><a href="/plans">Plans</a><span aria-hidden="true">/</span><span class="mono">${plan.planId}</span></nav>${page.note}<div class="head"><div><h1>${foreign(plan.title)}</h1>${part('p-head')}</div>${part('p-steer')}</div>
${part('p-ask')}
${part('p-figs')}
<section><div class="head"><h2>The plan as a graph</h2><span class="row small">${canOpen && markup`<a href="${to({ open: everything })}">Unfold all ${thousands(tasks.length - parents.size)}</a>`}${open.size > 0 && markup`<a href="${planPath(plan.planId)}">Fold all again</a>`}<a href="${to({ asText: !asText })}">${asText ? 'As a picture' : 'As text'}</a><a href="${file('svg')}">SVG</a><a href="${file('dot')}">DOT</a><a href="${file('mmd')}">Mermaid</a></span></div>${part('p-graph')}</section>
${plan.result !== undefined && plan.result.kind.case !== 'nullValue' && markup`<section><h2>Result</h2>${valueView(toJson(ValueSchema, plan.result))}</section>`}
<div class="cols"><div><section><div class="head"><h2>Tasks</h2><form class="row" method="get" action="${planPath(plan.planId)}">${open.size > 0 && markup`<input type="hidden" name="open" value="${openText(open)}">`}<label class="vh" for="ts">Which tasks</label><select id="ts" name="show">${Object.entries(taskOrders).map(([value, label]) => markup`<option value="${value}"${value === page.order && markup` selected`}>${label}</option>`)}</select><button class="btn mini">Show</button></form></div>${part('p-tasks')}</section></div>
<aside aria-label="One task"><section class="side" id="task">${page.detail ? taskDetail(page, page.detail) : markup`<h2>One task</h2><p class="soft in">Choose a task in the graph or in the table to see what it was given, what it found and each of its tries.</p>${commands(page)}`}</section></aside></div>`;
}

/** What may be done with the plan now; nothing is drawn that would be refused. */
function steer({ plan, proof, maySteer }: PlanPage): Html {
  if (!maySteer || !going.includes(plan.state)) return markup``;
  const [name, word] = plan.state === 'paused' ? ['resume', 'Go on'] : ['pause', 'Pause'];
  return markup`<form method="post" class="row" action="${planPath(plan.planId)}/${name}">${proofField(proof)}<button class="btn">${word}</button><a class="btn no" href="${planPath(plan.planId)}/cancel">Cancel…</a></form>`;
}

export const cancelMain = ({ plan, proof }: Pick<PlanPage, 'plan' | 'proof'>): Html =>
  markup`<nav class="crumbs" aria-label="Where you are"><a href="/plans">Plans</a><span aria-hidden="true">/</span><a href="${planPath(plan.planId)}">${plan.planId}</a></nav><div class="head"><div><h1>Cancel “${foreign(plan.title)}”?</h1><p>Agents are told to stop, what can be put back is put back, and open requests to people are withdrawn. A cancelled plan cannot go on.</p></div></div><form method="post" action="${planPath(plan.planId)}/cancel">${proofField(proof)}<div class="field"><label for="reason">Reason</label><span class="hint" id="reason-h">Stands in the record; may be empty.</span><textarea id="reason" name="reason" rows="3" maxlength="1000" aria-describedby="reason-h"></textarea></div><div class="row in"><button class="btn no">Cancel the plan</button><a class="btn" href="${planPath(plan.planId)}">Let it go on</a></div></form>`;

const attemptShapes: Readonly<Record<string, Shape>> = {
  succeeded: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
  running: 'running',
  dispatched: 'running',
  compensated: 'ifneeded',
  compensationFailed: 'failed',
};

function taskDetail(page: PlanPage, { task, arguments: given, output, attempts }: GetTaskResponse): Html {
  if (!task) return markup``;
  const { reader, now, tasks, gates } = page;
  const titles = titlesOf(tasks);
  const titleOf = (id: string): string => {
    const found = tasks.find((one) => one.id === id);
    return found ? titles.full(found) : id;
  };
  const top = task.parent ?? task.id;
  const own = tasks.find(({ id }) => id === top) ?? task;
  const needs = [...own.needs, ...own.after];
  const feeds = tasks.filter((one) => one.parent === undefined && [...one.needs, ...one.after].includes(top));
  const gateOf = newestGates(gates);
  const gate = gateOf.get(top);
  const found = output ? (toJson(ValueSchema, output) as Json) : undefined;
  const files = artifactsIn(found);
  const rows: readonly (readonly [string, Part])[] = [
    ['Capability', task.capability],
    ...(task.agent === undefined ? [] : ([['Agent', task.agent]] as const)),
    ...(needs.length === 0 ? [] : ([['Needs', foreign(list(needs.map(titleOf)))]] as const)),
    ...(feeds.length === 0 ? [] : ([['Gives to', foreign(list(feeds.map(titles.full)))]] as const)),
    ...(gate
      ? ([
          [
            'Asked',
            markup`<a href="${approvalPath(gate.approvalId)}">${foreign(gate.title)}</a>: ${foreign(gateWords(gate, own, reader))}`,
          ],
        ] as const)
      : []),
    ...(files.length === 0
      ? []
      : ([
          ['Files', markup`${files.map((file, index) => markup`${index > 0 && markup`<br>`}${valueView(file)}`)}`],
        ] as const)),
  ];
  const [shown = task] = besideGates([task], gateOf);
  const critical = criticalTasks(tasks, gateOf, now).has(top);
  return markup`<h2>${foreign(titles.full(task))}</h2><p>${stateMark(shapeOf(shown, reader), foreign(capital(stateWords(shown, reader, now))))}${critical && markup` <span class="quiet small">on the critical path</span>`}</p><dl class="kv in">${rows.map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
${task.failure && markup`<h3>Why it failed</h3><p class="in">${foreign(task.failure.message)} <span class="quiet">(${task.failure.type})</span></p>`}
${attempts.length > 0 && markup`<h3>Tries</h3><ol class="time in">${attempts.map((attempt) => attemptLine(attempt, now))}</ol>`}
${given && markup`<details class="more"><summary>What it was given</summary><div class="in">${valueView(given)}</div></details>`}
${found !== undefined && markup`<details class="more" open><summary>What it found</summary><div class="in">${valueView(found)}</div></details>`}
${isRetryable(page, task) && retryForm(page, task, top)}
${commands(page, task.id)}`;
}

/** The server refuses the rest: a cancelled plan stays so, and what goes on is not run twice at once. */
const isRetryable = ({ maySteer, plan }: PlanPage, { state }: TaskState): boolean =>
  maySteer &&
  ['running', 'paused', 'failing', 'succeeded', 'failed'].includes(plan.state) &&
  ['failed', 'cancelled', 'succeeded', 'compensated', 'compensationFailed'].includes(state);

function retryForm(page: PlanPage, task: TaskState, top: string): Html {
  const repeated = dependents(page, top);
  const asks = page.gates.some(({ taskId }) => repeated.has(taskId) || taskId === top);
  return markup`<form method="post" class="row in" action="${planPath(page.plan.planId)}/tasks/${task.id}/retry">${proofField(page.proof)}<button class="btn">Run again from here</button></form><p class="small quiet">Repeats this task${repeated.size > 0 && ` and the ${repeated.size === 1 ? 'one' : repeated.size} that ${repeated.size === 1 ? 'depends' : 'depend'} on it`}.${asks && ' The approval is asked anew.'}${going.includes(page.plan.state) ? '' : ' The plan goes on with it.'}</p>`;
}

function attemptLine({ state, agent, failure, ...times }: Attempt, now: Date): Html {
  const begun = dateOf(times.startedAt) ?? dateOf(times.dispatchedAt);
  const end = dateOf(times.endedAt);
  const took = begun && end ? duration(end.getTime() - begun.getTime()) : undefined;
  const who = agent ?? 'An agent';
  const words = ((): Part => {
    if (state === 'succeeded') return `${who} did it${took === undefined ? '' : ` in ${took}`}.`;
    if (failure?.type === 'AgentLost') return `${who} stopped answering${took === undefined ? '' : ` after ${took}`}.`;
    if (failure) return markup`${who}: ${foreign(failure.message)}`;
    if (state === 'dispatched') return 'Given to the agents, nobody has begun.';
    return state === 'running' ? `${who} works on it.` : `${who}: ${state}`;
  })();
  return markup`<li>${moment(begun, now, 'seconds')}${glyph(attemptShapes[state] ?? 'unknown')}<span>${words}</span></li>`;
}

function dependents({ tasks }: PlanPage, id: string): ReadonlySet<string> {
  const found = new Set<string>();
  const follow = (from: string): void => {
    for (const one of tasks)
      if (one.parent === undefined && !found.has(one.id) && [...one.needs, ...one.after].includes(from)) {
        found.add(one.id);
        follow(one.id);
      }
  };
  follow(id);
  return found;
}

const commands = ({ plan }: PlanPage, task?: string): Html =>
  markup`<details class="more"><summary>Copy as CLI or curl</summary><div class="in">${
    task === undefined
      ? [
          command('watch the plan, CLI', `aats plan watch ${plan.planId}`),
          command('get the plan, curl', curl('GET', `/v1/plans/${plan.planId}`)),
        ]
      : [
          command('run the task again, CLI', `aats plan retry ${plan.planId} ${task}`),
          command('run the task again, curl', curl('POST', `/v1/plans/${plan.planId}/tasks/${task}/retry`, '{}')),
        ]
  }</div></details>`;
