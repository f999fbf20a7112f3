import type { ApprovalSummary } from '../../../proto/aats/project/v1/project_pb';
import type { Gate } from './gates';
import { foreign, markup, type Html, type Part } from './html';
import { glyph, type Shape, stateMark } from './marks';
import { capital, dateOf, duration, moment, personName, plural, remaining, thousands, whoMay } from './words';

export const inboxViews = ['open', 'mine', 'done'] as const;
export type InboxView = (typeof inboxViews)[number];
export const inboxOrders = { expires: 'Expires first', oldest: 'Oldest first', newest: 'Newest first' } as const;
export type InboxOrder = keyof typeof inboxOrders;

export interface Inbox {
  readonly view: InboxView;
  readonly search: string;
  readonly order: InboxOrder;
  /** Those of this page: from the n-th on, of so many that fit the search. */
  readonly requests: readonly ApprovalSummary[];
  readonly from: number;
  readonly fitting: number;
  readonly counts: Readonly<Record<InboxView, string>>;
  /** Who answered what, of the requests that are done. */
  readonly answered: ReadonlyMap<string, Gate>;
  /** The newest requests that are done. */
  readonly past: readonly ApprovalSummary[];
  readonly person: string;
  readonly now: Date;
}

/** Requests that expire within this stand first. */
const urgentMs = 2 * 3_600_000;

export function inboxMain(inbox: Inbox): Html {
  const { view, search, order, counts } = inbox;
  const tab = (name: InboxView, label: string): Html =>
    markup`<a href="/inbox${name === 'open' ? '' : `?view=${name}`}"${name === view && markup` aria-current="page"`}>${label} <span class="n">${counts[name]}</span></a>`;
  return markup`<div class="head"><div><h1>Inbox</h1></div></div><nav class="tabs" aria-label="Which requests">${tab('open', 'Open')}${tab('mine', 'Mine')}${tab('done', 'Done')}</nav>
<form class="filters" method="get" action="/inbox" role="search">${view !== 'open' && markup`<input type="hidden" name="view" value="${view}">`}<label class="vh" for="q">Search</label><input type="search" id="q" name="q" value="${search}" placeholder="Search by title, plan or person"><label class="vh" for="f-sort">Order</label><select id="f-sort" name="sort">${Object.entries(inboxOrders).map(([value, label]) => markup`<option value="${value}"${value === order && markup` selected`}>${label}</option>`)}</select><button class="btn">Show</button><span class="end small quiet" id="p-place" data-part>${place(inbox)}</span></form>
<div id="p-inbox" data-part>${inboxList(inbox)}</div>`;
}

const address = ({ view, search, order }: Inbox, from: number): string => {
  const query = new URLSearchParams({
    ...(view !== 'open' && { view }),
    ...(search !== '' && { q: search }),
    sort: order,
    ...(from > 0 && { from: String(from) }),
  });
  return `/inbox?${query.toString()}`;
};

/** `1–40 of 57 · next` */
function place(inbox: Inbox): Part {
  const { from, requests, fitting } = inbox;
  const to = from + requests.length;
  if (fitting === 0) return undefined;
  const before = from > 0 && markup` · <a href="${address(inbox, 0)}">first</a>`;
  return markup`${fitting === 1 ? '1' : `${from + 1}–${to}`} of ${fitting}${before}${to < fitting && markup` · <a href="${address(inbox, to)}">next</a>`}`;
}

export function inboxList(inbox: Inbox): Html {
  const { view, requests, now, from, fitting } = inbox;
  if (requests.length === 0) return nothing(inbox);
  const to = from + requests.length;
  const next =
    to < fitting &&
    markup`<p class="row in"><a class="btn" href="${address(inbox, to)}">Show the next ${Math.min(requests.length, fitting - to)}</a></p>`;
  if (view === 'done') return markup`${doneTable(inbox)}${next}`;
  const left = (request: ApprovalSummary): number => (dateOf(request.expiresAt)?.getTime() ?? Infinity) - now.getTime();
  const yours = requests.filter(({ waitingForYou }) => waitingForYou);
  const urgent = yours.filter((request) => left(request) <= urgentMs);
  const calm = yours.filter((request) => left(request) > urgentMs);
  const others = requests.filter(({ waitingForYou }) => !waitingForYou);
  return markup`<div class="cols"><div>${band('Urgent', 'they expire within two hours', urgent, inbox)}${band('Waiting for you', '', calm, inbox)}${band('Waiting for others', 'you may read them', others, inbox)}${next}</div>
<aside aria-label="Who waits for whom"><section class="side"><h2>Who waits for whom</h2>${ledger(inbox)}${pastWords(inbox)}</section></aside></div>`;
}

const week = 7 * 24 * 3_600_000;

/** How long people took lately; nothing where nobody was asked. */
function pastWords({ past, now }: Inbox): Part {
  const lately = past.filter(({ endedAt }) => now.getTime() - (dateOf(endedAt)?.getTime() ?? 0) < week);
  const answered = lately.filter(({ status }) => status === 'approved' || status === 'rejected');
  const took = answered
    .map((request) => (dateOf(request.endedAt)?.getTime() ?? 0) - (dateOf(request.requestedAt)?.getTime() ?? 0))
    .sort((a, b) => a - b);
  if (took.length === 0) return undefined;
  const share = (part: number): string =>
    duration(took[Math.min(took.length - 1, Math.floor(took.length * part))] ?? 0);
  const expired = lately.filter(({ status }) => status === 'expired').length;
  return markup`<p class="small quiet in">In the last 7 days: half were answered within ${share(0.5)}, nine in ten within ${share(0.9)}. ${expired === 0 ? 'None' : thousands(expired)} expired.</p>`;
}

function band(title: string, about: string, requests: readonly ApprovalSummary[], inbox: Inbox): Part {
  if (requests.length === 0) return undefined;
  return markup`<div class="band"><h2>${title} <span class="quiet">${requests.length}</span></h2><p>${about}</p></div><ul>${requests.map((request) => line(request, title === 'Urgent', inbox))}</ul>`;
}

export const approvalPath = (approvalId: string): string => `/approvals/${approvalId}`;

function line(request: ApprovalSummary, urgent: boolean, { now, person }: Inbox): Html {
  const expires = dateOf(request.expiresAt);
  const { waitingForYou: yours } = request;
  const left = expires && expires.getTime() - now.getTime();
  return markup`<li class="item${urgent ? ' urgent' : ''}" data-row><span class="pick">${glyph(yours ? 'you' : 'waiting')}</span>
<div><h3><a href="${approvalPath(request.approvalId)}">${foreign(request.title)}</a></h3><p class="why">Asked at ${moment(dateOf(request.requestedAt), now)} by the plan “${foreign(request.planTitle)}”, which ${personName(request.requestedBy)} started.</p></div>
<div class="ans">Waiting for <b>${whoMay(request.by, yours, person)}</b></div>
<div class="exp"><b>${left !== undefined && (left > 0 ? `in ${remaining(left)}` : 'late')}</b>${left !== undefined && left > 0 ? 'expires' : 'the plan paused at'} ${moment(expires, now)}</div></li>`;
}

const outcomes: Readonly<Record<string, Shape>> = {
  approved: 'done',
  rejected: 'failed',
  expired: 'skipped',
  withdrawn: 'cancelled',
};
function outcomeWords(status: string, gate: Gate | undefined): string {
  const reason = gate && gate.reason !== '' && status !== 'withdrawn' ? `: “${gate.reason}”` : '';
  if (status === 'approved') return `Approved${gate?.isEdited === true ? ', list edited' : ''}${reason}`;
  if (status === 'withdrawn')
    return `Withdrawn: ${gate?.reason === undefined || gate.reason === '' ? 'the plan no longer asks' : gate.reason}`;
  if (status === 'expired') return 'Expired, which counts as rejected';
  return `${capital(status)}${reason}`;
}

const doneTable = ({ requests, answered, now }: Inbox): Html =>
  markup`<div class="tbl flow" tabindex="0" role="region" aria-label="Answered requests"><table><thead><tr><th scope="col">Request</th><th scope="col">Outcome</th><th scope="col">Who, when</th><th scope="col" class="num">It took</th><th scope="col">Plan</th></tr></thead><tbody>${requests.map(
    (request) => {
      const gate = answered.get(request.approvalId);
      const [asked, ended] = [dateOf(request.requestedAt), dateOf(request.endedAt)];
      const who = gate?.decidedBy === undefined ? 'nobody' : personName(gate.decidedBy);
      return markup`<tr data-row><td><a href="${approvalPath(request.approvalId)}">${foreign(request.title)}</a></td><td data-l="Outcome" class="wide">${stateMark(outcomes[request.status] ?? 'unknown', foreign(cut(outcomeWords(request.status, gate))))}</td><td data-l="Who">${gate && `${who}, `}${moment(ended, now)}</td><td class="num" data-l="It took">${asked && ended && duration(ended.getTime() - asked.getTime())}</td><td data-l="Plan"><a href="/plans/${request.planId}">${foreign(request.planTitle)}</a></td></tr>`;
    },
  )}</tbody></table></div>`;

const cut = (text: string): string => (text.length > 80 ? `${text.slice(0, 79)}…` : text);

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

function nothing({ view, search, counts, past }: Inbox): Html {
  const [title, why, ways] = ((): readonly [Part, Part, Part?] => {
    if (search !== '')
      return [
        markup`Nothing with “${foreign(search)}” ${view === 'done' ? 'was answered' : view === 'mine' ? 'waits for you' : 'waits for a person'}`,
        view === 'done'
          ? `${counts.done} requests were answered in all.`
          : `${counts.open} are open in all, ${counts.mine} of them wait for you.`,
        markup`<a class="btn" href="/inbox${view === 'open' ? '' : `?view=${view}`}">Show them without the search</a>`,
      ];
    if (view === 'done') return ['Nothing was answered yet', 'Answers stand here once they counted.'];
    const runs = markup`<a class="btn" href="/plans?view=running">See what runs</a>`;
    if (view === 'mine')
      return [
        'Nothing waits for you',
        'Plans that need you appear here by themselves.',
        markup`<a class="btn" href="/inbox">See what waits for others</a>${runs}`,
      ];
    return [
      'Nothing waits for a person',
      'Plans that need somebody appear here by themselves.',
      markup`${runs}${past.length > 0 && markup`<a class="btn plain" href="/inbox?view=done">What was answered</a>`}`,
    ];
  })();
  return markup`<div class="empty"><svg viewBox="0 0 72 72" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><path d="M36 8l28 28-28 28L8 36z"/><path d="M25 37l8 8 15-17"/></svg><h2>${title}</h2><p>${why}</p>${ways && markup`<p class="row">${ways}</p>`}</div>`;
}
