import type { ApprovalSummary } from '../../../proto/aats/project/v1/project_pb';
import { foreign, markup, type Html, type Part } from './html';
import { glyph, type Shape, stateMark } from './marks';
import { capital, dateOf, duration, moment, personName, plural, remaining, whoMay } from './words';

export const inboxViews = ['open', 'mine', 'done'] as const;
export type InboxView = (typeof inboxViews)[number];
export const inboxOrders = { expires: 'Expires first', oldest: 'Oldest first', newest: 'Newest first' } as const;
export type InboxOrder = keyof typeof inboxOrders;

export interface Inbox {
  readonly view: InboxView;
  readonly search: string;
  readonly order: InboxOrder;
  readonly requests: readonly ApprovalSummary[];
  readonly counts: Readonly<Record<InboxView, string>>;
  readonly person: string;
  readonly now: Date;
  /** Address of the next page, when there is one. */
  readonly next?: string;
}

/** Requests that expire within this stand first. */
const urgentMs = 2 * 3_600_000;

export function inboxMain(inbox: Inbox): Html {
  const { view, search, order, counts } = inbox;
  const tab = (name: InboxView, label: string): Html =>
    markup`<a href="/inbox${name === 'open' ? '' : `?view=${name}`}"${name === view && markup` aria-current="page"`}>${label} <span class="n">${counts[name]}</span></a>`;
  return markup`<div class="head"><div><h1>Inbox</h1></div></div><nav class="tabs" aria-label="Which requests">${tab('open', 'Open')}${tab('mine', 'Mine')}${tab('done', 'Done')}</nav>
<form class="filters" method="get" action="/inbox" role="search">${view !== 'open' && markup`<input type="hidden" name="view" value="${view}">`}<label class="vh" for="q">Search</label><input type="search" id="q" name="q" value="${search}" placeholder="Search by title, plan or person"><label class="vh" for="f-sort">Order</label><select id="f-sort" name="sort">${Object.entries(inboxOrders).map(([value, label]) => markup`<option value="${value}"${value === order && markup` selected`}>${label}</option>`)}</select><button class="btn">Show</button></form>
<div id="p-inbox" data-part>${inboxList(inbox)}</div>`;
}

export function inboxList(inbox: Inbox): Html {
  const { view, requests, now } = inbox;
  if (requests.length === 0) return nothing(inbox);
  const next =
    inbox.next !== undefined && markup`<p class="row in"><a class="btn" href="${inbox.next}">Show the next</a></p>`;
  if (view === 'done') return markup`${doneTable(inbox)}${next}`;
  const left = (request: ApprovalSummary): number => (dateOf(request.expiresAt)?.getTime() ?? Infinity) - now.getTime();
  const yours = requests.filter(({ waitingForYou }) => waitingForYou);
  const urgent = yours.filter((request) => left(request) <= urgentMs);
  const calm = yours.filter((request) => left(request) > urgentMs);
  const others = requests.filter(({ waitingForYou }) => !waitingForYou);
  return markup`<div class="cols"><div>${band('Urgent', 'they expire within two hours', urgent, inbox)}${band('Waiting for you', '', calm, inbox)}${band('Waiting for others', 'you may read them', others, inbox)}${next}</div>
<aside aria-label="Who waits for whom"><section class="side"><h2>Who waits for whom</h2>${ledger(inbox)}</section></aside></div>`;
}

function band(title: string, about: string, requests: readonly ApprovalSummary[], inbox: Inbox): Part {
  if (requests.length === 0) return undefined;
  return markup`<div class="band"><h2>${title} <span class="quiet">${requests.length}</span></h2><p>${about}</p></div><ul>${requests.map((request) => line(request, title === 'Urgent', inbox))}</ul>`;
}

export const approvalPath = (approvalId: string): string => `/approvals/${approvalId}`;

function line(request: ApprovalSummary, urgent: boolean, { now, person }: Inbox): Html {
  const expires = dateOf(request.expiresAt);
  const { waitingForYou: yours } = request;
  return markup`<li class="item${urgent ? ' urgent' : ''}" data-row><span class="pick">${glyph(yours ? 'you' : 'waiting')}</span>
<div><h3><a href="${approvalPath(request.approvalId)}">${foreign(request.title)}</a></h3><p class="why">The plan “${foreign(request.planTitle)}” asks, started by ${personName(request.requestedBy)}, at ${moment(dateOf(request.requestedAt), now)}.</p></div>
<div class="ans">Waiting for <b>${whoMay(request.by, yours, person)}</b></div>
<div class="exp"><b>${expires && `in ${remaining(expires.getTime() - now.getTime())}`}</b>expires ${moment(expires, now)}</div></li>`;
}

const outcomes: Readonly<Record<string, Shape>> = {
  approved: 'done',
  rejected: 'failed',
  expired: 'skipped',
  withdrawn: 'cancelled',
};

const doneTable = ({ requests, now }: Inbox): Html =>
  markup`<div class="tbl flow" tabindex="0" role="region" aria-label="Answered requests"><table><thead><tr><th scope="col">Request</th><th scope="col">Outcome</th><th scope="col">Plan</th><th scope="col">Started by</th><th scope="col">Asked</th></tr></thead><tbody>${requests.map(
    (request) =>
      markup`<tr data-row><td><a href="${approvalPath(request.approvalId)}"><b>${foreign(request.title)}</b></a></td><td data-l="Outcome">${stateMark(outcomes[request.status] ?? 'idle', capital(request.status))}</td><td data-l="Plan"><a href="/plans/${request.planId}">${foreign(request.planTitle)}</a></td><td data-l="By">${personName(request.requestedBy)}</td><td data-l="Asked">${moment(dateOf(request.requestedAt), now)}</td></tr>`,
  )}</tbody></table></div>`;

function ledger({ requests, now }: Inbox): Html {
  const oldest = (list: readonly ApprovalSummary[]): string =>
    duration(
      Math.max(0, ...list.map(({ requestedAt }) => now.getTime() - (dateOf(requestedAt)?.getTime() ?? now.getTime()))),
    );
  const rows = new Map<string, ApprovalSummary[]>();
  for (const request of requests) {
    const who = request.waitingForYou ? 'You' : capital(whoMay(request.by, false, ''));
    rows.set(who, [...(rows.get(who) ?? []), request]);
  }
  return markup`<ul class="ledger">${[...rows].map(
    ([who, list]) =>
      markup`<li><span>${who === 'You' ? markup`<b>You</b>` : who}</span><span>${plural(list.length, 'request')}, ${plural(new Set(list.map(({ planId }) => planId)).size, 'plan')}<br>oldest ${oldest(list)}</span></li>`,
  )}</ul>`;
}

function nothing({ view, search }: Inbox): Html {
  const [title, why] =
    search !== ''
      ? ['Nothing fits this search', markup`Take a word away, or <a href="/inbox">see all open requests</a>.`]
      : view === 'done'
        ? ['Nothing was answered yet', markup`Answers stand here once they counted.`]
        : view === 'mine'
          ? [
              'Nothing waits for you',
              markup`Plans that need you appear here by themselves. <a href="/inbox">See what waits for others</a>.`,
            ]
          : [
              'Nothing waits for a person',
              markup`Plans that need somebody appear here by themselves. <a href="/plans">See what runs</a>.`,
            ];
  return markup`<div class="empty"><svg viewBox="0 0 72 72" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><path d="M36 8l28 28-28 28L8 36z"/><path d="M25 37l8 8 15-17"/></svg><h2>${title}</h2><p>${why}</p></div>`;
}
