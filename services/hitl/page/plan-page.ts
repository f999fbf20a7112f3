import { toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { GetTaskResponse } from '../../../proto/aats/project/v1/project_pb';
import { proofField } from './frame';
import { foreign, markup, type Html, type Part } from './html';
import { approvalPath } from './inbox-page';
import { command, glyph, stateMark, type Shape } from './marks';
import {
  figuresPart,
  graphPart,
  headPart,
  type PlanNow,
  type TaskOrder,
  taskOrders,
  tasksPart,
  type TaskTable,
} from './plan-parts';
import { shapeOf, stateWords } from './task-words';
import { titlesOf } from './titles';
import { valueView } from './values';
import { dateOf, duration, list, moment, plural } from './words';

export interface PlanPage extends PlanNow {
  readonly proof: string;
  /** May pause, resume, cancel, retry (update on tasks). */
  readonly maySteer: boolean;
  readonly order: TaskOrder;
  readonly open: ReadonlySet<string>;
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
    'p-figs': figuresPart(page),
    'p-steer': steer(page),
    'p-graph': graphPart(page, {
      open: page.open,
      href: (node) => address(page)(node.folded ? { open: node.id.replace(/^fold:/, '') } : { task: node.id }),
    }),
    'p-tasks': tasksPart(page, table(page)),
  };
}

const table = (page: PlanPage): TaskTable => ({
  order: page.order,
  open: page.open,
  chosen: page.chosen,
  href: address(page),
});

const address =
  ({ plan, order, open, chosen }: PlanPage): TaskTable['href'] =>
  (change) => {
    const query = new URLSearchParams();
    if (order !== 'look') query.set('show', order);
    const opened = new Set(open);
    if (change.open !== undefined) {
      if (opened.has(change.open)) opened.delete(change.open);
      else opened.add(change.open);
    }
    if (opened.size > 0) query.set('open', [...opened].join(','));
    const task = change.task ?? chosen;
    if (task !== undefined) query.set('task', task);
    return `${planPath(plan.planId)}${query.size > 0 ? `?${query.toString()}` : ''}${change.task === undefined ? '' : '#task'}`;
  };

export function planMain(page: PlanPage): Html {
  const { plan, open } = page;
  const parts = planParts(page);
  const part = (id: string): Html => markup`<div id="${id}" data-part>${parts[id]}</div>`;
  const folded = page.tasks.some(({ parent }) => parent !== undefined) && open.size === 0;
  return markup`<nav class="crumbs" aria-label="Where you are"><a href="/plans">Plans</a><span aria-hidden="true">/</span><span class="mono">${plan.planId}</span></nav>${page.note}<div class="head"><div><h1>${foreign(plan.title)}</h1>${part('p-head')}</div>${part('p-steer')}</div>
${part('p-figs')}
<section><div class="head"><h2>The plan as a graph</h2>${open.size > 0 && markup`<a class="small" href="${planPath(plan.planId)}">Fold all again</a>`}</div>${part('p-graph')}${folded && markup`<p class="small quiet">Folded is what went well. Failed, repeated and running tasks stay out.</p>`}</section>
${plan.result !== undefined && plan.result.kind.case !== 'nullValue' && markup`<section><h2>Result</h2>${valueView(toJson(ValueSchema, plan.result))}</section>`}
<div class="cols"><div><section><div class="head"><h2>Tasks</h2><form class="row" method="get" action="${planPath(plan.planId)}"><label class="vh" for="ts">Which tasks</label><select id="ts" name="show">${Object.entries(taskOrders).map(([value, label]) => markup`<option value="${value}"${value === page.order && markup` selected`}>${label}</option>`)}</select><button class="btn mini">Show</button></form></div>${part('p-tasks')}</section></div>
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
  const { reader, now, tasks, plan } = page;
  const titles = titlesOf(tasks);
  const title = (id: string): string => {
    const found = tasks.find((one) => one.id === id);
    return found ? titles.full(found) : id;
  };
  const needs = [...task.needs, ...task.after];
  const feeds = tasks.filter(
    (one) => one.parent === undefined && [...one.needs, ...one.after].includes(task.parent ?? task.id),
  );
  const rows: readonly (readonly [string, Part])[] = [
    ['Capability', task.capability],
    ...(task.agent === undefined ? [] : ([['Agent', task.agent]] as const)),
    ...(needs.length === 0 ? [] : ([['Needs', foreign(list(needs.map(title)))]] as const)),
    ...(feeds.length === 0 ? [] : ([['Gives to', foreign(list(feeds.map(titles.full)))]] as const)),
  ];
  const retryable =
    page.maySteer &&
    ['running', 'paused', 'failing'].includes(plan.state) &&
    ['failed', 'cancelled', 'succeeded'].includes(task.state);
  const repeats = dependents(page, task.parent ?? task.id).size;
  return markup`<h2>${foreign(titles.full(task))}</h2><p>${stateMark(shapeOf(task, reader), foreign(stateWords(task, reader, now)))}</p>${task.approvalId !== undefined && markup`<p class="in"><a href="${approvalPath(task.approvalId)}">The request to people</a></p>`}<dl class="kv in">${rows.map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
${task.failure && markup`<h3>Why it failed</h3><p class="in">${foreign(task.failure.message)} <span class="quiet">(${task.failure.type})</span></p>`}
${
  attempts.length > 0 &&
  markup`<h3>Tries</h3><ol class="time in">${attempts.map((attempt) => {
    const begun = dateOf(attempt.startedAt) ?? dateOf(attempt.dispatchedAt);
    const end = dateOf(attempt.endedAt);
    const took = begun && end ? ` in ${duration(end.getTime() - begun.getTime())}` : '';
    return markup`<li>${moment(begun, now, 'seconds')}${glyph(attemptShapes[attempt.state] ?? 'idle')}<span>${attempt.agent ?? 'An agent'}: ${attempt.state === 'succeeded' ? `done${took}` : attempt.state}${attempt.failure && markup`, ${foreign(attempt.failure.message)}`}</span></li>`;
  })}</ol>`
}
${given && markup`<details class="more"><summary>What it was given</summary><div class="in">${valueView(given)}</div></details>`}
${output && markup`<details class="more" open><summary>What it found</summary><div class="in">${valueView(toJson(ValueSchema, output))}</div></details>`}
${retryable && markup`<form method="post" class="row in" action="${planPath(plan.planId)}/tasks/${task.id}/retry">${proofField(page.proof)}<button class="btn">Run again from here</button></form><p class="small quiet">Repeats this task${repeats > 0 && ` and the ${plural(repeats, 'task')} that depend on it`}. An approval on the way is asked anew.</p>`}
${commands(page, task.id)}`;
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
  markup`<details class="more"><summary>From a terminal</summary><div class="in">${command('watch the plan', `aats plan watch ${plan.planId}`)}${task !== undefined && command('run the task again', `aats plan retry ${plan.planId} ${task}`)}</div></details>`;
