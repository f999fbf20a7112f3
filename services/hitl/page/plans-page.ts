import type { PlanSummary } from '../../../proto/aats/project/v1/project_pb';
import { foreign, markup, type Html } from './html';
import { bar, stateMark } from './marks';
import { planPath } from './plan-page';
import { endStates } from '../../../workflows/plan-state';
import { planShape, type Reader } from './task-words';
import { dateOf, duration, moment, personName, plural, thousands, whoMay } from './words';

/** Tabs are filters of the service; the URL is the state. */
export const planViews = {
  all: { label: 'All', states: [] },
  running: { label: 'Running', states: ['running', 'paused', 'failing', 'cancelling'] },
  person: { label: 'Need a person', states: [] },
  failed: { label: 'Failed', states: ['failed'] },
  ended: { label: 'Ended', states: ['succeeded', 'failed', 'cancelled'] },
} as const satisfies Record<string, { readonly label: string; readonly states: readonly string[] }>;
export type PlanView = keyof typeof planViews;
export const planViewNames = Object.keys(planViews) as PlanView[];

export interface Plans {
  readonly view: PlanView;
  readonly owner: string;
  readonly name: string;
  readonly plans: readonly PlanSummary[];
  /** May start a plan (create tasks). */
  readonly mayStart: boolean;
  /** How many there are in each tab, whatever the filters. */
  readonly counts: Readonly<Record<PlanView, string>>;
  readonly reader: Reader;
  readonly now: Date;
  readonly next?: string;
}

export function plansMain(plans: Plans): Html {
  const { view, owner, name, counts } = plans;
  const tab = (key: PlanView, label: string): Html =>
    markup`<a href="/plans${key === 'all' ? '' : `?view=${key}`}"${key === view && markup` aria-current="page"`}>${label} <span class="n">${counts[key]}</span></a>`;
  return markup`<div class="head"><div><h1>Plans</h1></div>${plans.mayStart && markup`<a class="btn primary" href="/start">Start a plan</a>`}</div><nav class="tabs" aria-label="Which plans">${planViewNames.map((key) => tab(key, planViews[key].label))}</nav>
<form class="filters" method="get" action="/plans" role="search">${view !== 'all' && markup`<input type="hidden" name="view" value="${view}">`}<label class="vh" for="q">Name of the plan</label><input type="search" id="q" name="name" value="${name}" placeholder="Name, such as dependency-review" pattern="[\\w.\\-]{0,100}"><label class="vh" for="f-owner">Started by</label><input type="search" id="f-owner" name="owner" value="${owner}" placeholder="Started by" pattern="[\\w.\\-]{0,100}"><button class="btn">Show</button></form>
<div id="p-plans" data-part>${plansList(plans)}</div>`;
}

export function plansList({ plans, reader, now, next, name, owner }: Plans): Html {
  if (plans.length === 0)
    return markup`<div class="empty"><svg viewBox="0 0 72 72" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><path d="M36 8l28 28-28 28L8 36z" stroke-dasharray="5 5"/></svg><h2>No plan is here</h2><p>${name !== '' || owner !== '' ? markup`Nothing fits these filters. <a href="/plans">Take them away</a>.` : markup`Start one from a terminal: <code>aats plan start my.plan.yaml</code>`}</p></div>`;
  return markup`<div class="tbl flow" tabindex="0" role="region" aria-label="Plans"><table><thead><tr><th scope="col">Plan</th><th scope="col">Where it stands</th><th scope="col">Tasks</th><th scope="col">Started by</th><th scope="col">Started</th><th scope="col" class="num">Runs for</th></tr></thead><tbody>${plans.map((plan) => row(plan, reader, now))}</tbody></table></div>${next !== undefined && markup`<p class="row in"><a class="btn" href="${next}">Show the next</a></p>`}`;
}

/** As far as the plan tells it without its tasks. */
function whereItStands(plan: PlanSummary, now: Date): string {
  const of = (...states: readonly string[]): number => states.reduce((sum, one) => sum + (plan.counts[one] ?? 0), 0);
  const [busy, failed] = [of('running', 'retrying'), of('failed')];
  const took = (dateOf(plan.endedAt) ?? now).getTime() - (dateOf(plan.startedAt) ?? now).getTime();
  switch (plan.state) {
    case 'running':
      if (busy > 0) return `Running ${plural(busy, 'task')}`;
      return of('dispatched') > 0 ? 'Waiting for an agent' : 'Running';
    case 'paused':
      return busy > 0 ? `Paused, ${plural(busy, 'task')} that began may finish` : 'Paused';
    case 'failing':
      return 'Failing, being put back';
    case 'cancelling':
      return 'Being cancelled';
    case 'succeeded':
      return `Done in ${duration(took)}${failed > 0 ? `, ${failed} failed and allowed to` : ''}`;
    case 'failed':
      return `Failed${plan.failure ? `: ${plan.failure.message}` : ''}`;
    case 'cancelled':
      return 'Cancelled';
    default:
      return plan.state;
  }
}

function row(plan: PlanSummary, reader: Reader, now: Date): Html {
  const [waiting] = plan.waitingFor;
  const yours = [...reader.asked].some((approvalId) => approvalId.startsWith(`${plan.planId}/`));
  const begun = dateOf(plan.startedAt);
  const end = dateOf(plan.endedAt) ?? now;
  // Who is waited for is known at once, for what only from the plan itself.
  const words =
    plan.state === 'running' && waiting
      ? `Waiting for ${yours ? 'you' : whoMay(waiting.by, false, reader.name)}${waiting.title === '' ? '' : `: ${waiting.title}`}`
      : whereItStands(plan, now);
  const ended = [...endStates].reduce((sum, state) => sum + (plan.counts[state] ?? 0), 0);
  const isCounted = Object.keys(plan.counts).length > 0;
  const share = plan.taskCount > 0 ? ended / plan.taskCount : 0;
  return markup`<tr data-row><td><a href="${planPath(plan.planId)}"><b>${foreign(plan.title)}</b></a><br><span class="mono small quiet">${plan.planId}</span></td><td data-l="State" class="wide">${stateMark(planShape(plan, yours), foreign(words))}</td><td data-l="Tasks">${isCounted ? markup`${thousands(ended)} of ${thousands(plan.taskCount)}${bar(`${ended} of ${plan.taskCount} tasks`, [[plan.state === 'succeeded' ? 'd' : plan.state === 'failed' ? 'f' : 'a', share]])}` : plan.taskCount > 0 && thousands(plan.taskCount)}</td><td data-l="By">${personName(plan.owner)}</td><td data-l="Started">${moment(begun, now)}</td><td class="num" data-l="For">${begun && duration(end.getTime() - begun.getTime())}</td></tr>`;
}
