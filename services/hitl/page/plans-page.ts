import type { PlanSummary } from '../../../proto/aats/project/v1/project_pb';
import { foreign, markup, type Html } from './html';
import { bar, stateMark } from './marks';
import { planPath } from './plan-page';
import { planShape, type Reader } from './task-words';
import { dateOf, duration, moment, personName, thousands, whoMay } from './words';

/** Tabs are filters of the service; the URL is the state. */
export const planViews = {
  all: { label: 'All', states: [] },
  running: { label: 'Running', states: ['running', 'paused', 'failing', 'cancelling'] },
  person: { label: 'Need a person', states: [] },
  failed: { label: 'Failed', states: ['failed'] },
  ended: { label: 'Ended', states: ['succeeded', 'failed', 'cancelled'] },
} as const satisfies Record<string, { readonly label: string; readonly states: readonly string[] }>;
export type PlanView = keyof typeof planViews;

export interface Plans {
  readonly view: PlanView;
  readonly owner: string;
  readonly name: string;
  readonly plans: readonly PlanSummary[];
  readonly reader: Reader;
  readonly now: Date;
  readonly next?: string;
}

export function plansMain(plans: Plans): Html {
  const { view, owner, name } = plans;
  const tab = (key: string, label: string): Html =>
    markup`<a href="/plans${key === 'all' ? '' : `?view=${key}`}"${key === view && markup` aria-current="page"`}>${label}</a>`;
  return markup`<div class="head"><div><h1>Plans</h1></div></div><nav class="tabs" aria-label="Which plans">${Object.entries(planViews).map(([key, { label }]) => tab(key, label))}</nav>
<form class="filters" method="get" action="/plans" role="search">${view !== 'all' && markup`<input type="hidden" name="view" value="${view}">`}<label class="vh" for="q">Name of the plan</label><input type="search" id="q" name="name" value="${name}" placeholder="Name, such as dependency-review" pattern="[\\w.\\-]{0,100}"><label class="vh" for="f-owner">Started by</label><input type="search" id="f-owner" name="owner" value="${owner}" placeholder="Started by" pattern="[\\w.\\-]{0,100}"><button class="btn">Show</button></form>
<div id="p-plans" data-part>${plansList(plans)}</div>`;
}

export function plansList({ plans, reader, now, next, name, owner }: Plans): Html {
  if (plans.length === 0)
    return markup`<div class="empty"><svg viewBox="0 0 72 72" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><path d="M36 8l28 28-28 28L8 36z" stroke-dasharray="5 5"/></svg><h2>No plan is here</h2><p>${name !== '' || owner !== '' ? markup`Nothing fits these filters. <a href="/plans">Take them away</a>.` : markup`Start one from a terminal: <code>aats plan start my.plan.yaml</code>`}</p></div>`;
  return markup`<div class="tbl flow" tabindex="0" role="region" aria-label="Plans"><table><thead><tr><th scope="col">Plan</th><th scope="col">Where it stands</th><th scope="col">Tasks</th><th scope="col">Started by</th><th scope="col">Started</th><th scope="col" class="num">Runs for</th></tr></thead><tbody>${plans.map((plan) => row(plan, reader, now))}</tbody></table></div>${next !== undefined && markup`<p class="row in"><a class="btn" href="${next}">Show the next</a></p>`}`;
}

const plain: Readonly<Record<string, string>> = {
  running: 'Running',
  paused: 'Paused',
  failing: 'Failing, being put back',
  cancelling: 'Being cancelled',
  succeeded: 'Done',
  failed: 'Failed',
  cancelled: 'Cancelled',
};
const endedTasks = ['succeeded', 'failed', 'cancelled', 'skipped', 'compensated', 'compensationFailed'];

function row(plan: PlanSummary, reader: Reader, now: Date): Html {
  const [waiting] = plan.waitingFor;
  const yours = [...reader.asked].some((approvalId) => approvalId.startsWith(`${plan.planId}/`));
  const begun = dateOf(plan.startedAt);
  const end = dateOf(plan.endedAt) ?? now;
  const words =
    plan.state === 'running' && waiting
      ? `Waiting for ${whoMay(waiting.by, yours, reader.name)}`
      : (plain[plan.state] ?? plan.state);
  const ended = endedTasks.reduce((sum, state) => sum + (plan.counts[state] ?? 0), 0);
  const isCounted = Object.keys(plan.counts).length > 0;
  const share = plan.taskCount > 0 ? ended / plan.taskCount : 0;
  return markup`<tr data-row><td><a href="${planPath(plan.planId)}"><b>${foreign(plan.title)}</b></a><br><span class="mono small quiet">${plan.planId}</span></td><td data-l="State">${stateMark(planShape(plan, yours), words)}</td><td data-l="Tasks">${isCounted ? markup`${thousands(ended)} of ${thousands(plan.taskCount)}${bar(`${ended} of ${plan.taskCount} tasks`, [[plan.state === 'succeeded' ? 'd' : plan.state === 'failed' ? 'f' : 'a', share]])}` : plan.taskCount > 0 && thousands(plan.taskCount)}</td><td data-l="By">${personName(plan.owner)}</td><td data-l="Started">${moment(begun, now)}</td><td class="num" data-l="For">${begun && duration(end.getTime() - begun.getTime())}</td></tr>`;
}
