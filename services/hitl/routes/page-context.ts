import { randomUUID } from 'node:crypto';
import type { ParameterizedContext } from 'koa';
import type { ApprovalSummary } from '../../../proto/aats/project/v1/project_pb';
import { failure } from '../../../workflows/contracts/failures';
import { ServiceFailure, toEdgeFailure } from '../../runtime/failure-status';
import type { Logger } from '../../runtime/logger';
import { authorize } from '../../runtime/roles';
import { errorMain } from '../page/error-page';
import { door, type Frame, page, type Theme } from '../page/frame';
import { foreign, markup, type Html, type Part } from '../page/html';
import type { Reader } from '../page/task-words';
import type { Form } from '../page/editable';
import type { PlanHub } from '../plan-hub';
import { type Counts, readAtOnce } from './counts';
import type { GateReader } from './plan-gates';
import { isProof, type PageSession, type PageSessions } from '../sign-in/page-session';
import type { Upstream } from '../upstream';

export type PageContext = ParameterizedContext;
/** What the routes of the page work with. */
export interface PageDeps {
  readonly upstream: Upstream;
  readonly sessions: PageSessions;
  readonly hub: PlanHub;
  readonly gates: GateReader;
  readonly counts: Counts;
  /** Aborted when the process ends: live pages are let go, and the browsers come again. */
  readonly draining: AbortSignal;
  /** A reader of a document or a live page that takes nothing for so long is cut off. */
  readonly patienceMs: number;
  readonly logger: Logger;
}

// `__Host-`: the browser takes it over TLS only, from this host only, for all its paths.
export const sessionCookie = '__Host-aats';

export const themeOf = (ctx: PageContext): Theme => {
  const theme = ctx.cookies.get('aats-theme');
  return theme === 'light' || theme === 'dark' ? theme : undefined;
};

/** No inline script or style, nothing from elsewhere, in no frame, kept by no cache. */
export function secureHeaders(ctx: PageContext): void {
  ctx.set({
    'content-security-policy':
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'cache-control': 'no-store',
  });
  // The name localhost belongs to every program of the machine, and some of them speak plain HTTP.
  if (ctx.hostname !== 'localhost') ctx.set('strict-transport-security', 'max-age=31536000');
}

const formBytes = 1024 * 1024;

/** A form's fields; several of one name are a list. Throws InvalidInput, TooLarge. */
export async function readForm(ctx: PageContext): Promise<Form> {
  if (!ctx.is('application/x-www-form-urlencoded')) throw failure('InvalidInput', 'this is not a form of ours');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of ctx.req) {
    size += (chunk as Buffer).length;
    if (size > formBytes) throw failure('TooLarge', 'the form is larger than 1 MiB');
    chunks.push(chunk as Buffer);
  }
  const form: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of new URLSearchParams(Buffer.concat(chunks).toString('utf8'))) {
    const known = form[name];
    // Browsers send line ends as CRLF.
    const text = value.replace(/\r\n/g, '\n');
    form[name] = known === undefined ? text : [...(typeof known === 'string' ? [known] : known), text];
  }
  return form;
}
export const field = (form: Form, name: string): string => {
  const value = form[name];
  return typeof value === 'string' ? value : '';
};

/** Throws PermissionDenied when another site sent the form; a browser without Sec-Fetch-Site says the origin. */
export function requireOwnSite(ctx: PageContext): void {
  const site = ctx.get('sec-fetch-site');
  const own = site === '' ? ctx.get('origin') === `https://${ctx.host}` : site === 'same-origin';
  if (!own) throw failure('PermissionDenied', 'this form was sent by another site, so nothing was done');
}

/** A page's work with who is signed in; without a session the way leads to the door and back. */
export const signedIn =
  (deps: PageDeps, work: (ctx: PageContext, session: PageSession, form: Form) => Promise<void>) =>
  (ctx: PageContext): Promise<void> =>
    showingErrors(deps, ctx, async () => {
      const session = await deps.sessions.find(ctx.cookies.get(sessionCookie));
      if (!session) {
        toDoor(ctx);
        return;
      }
      let form: Form = {};
      if (ctx.method === 'POST') {
        requireOwnSite(ctx);
        form = await readForm(ctx);
        if (!isProof(field(form, 'proof'), session.proof))
          throw failure('PermissionDenied', 'this form belongs to an earlier sign-in, so nothing was done');
      }
      await work(ctx, session, form);
    });

/** After a form that came too late the way leads back to the page that it stood on. */
function toDoor(ctx: PageContext): void {
  const isForm = ctx.method !== 'GET';
  const back = isForm
    ? (/^\/(?:approvals\/[^/]+\/[^/]+\/[^/]+|plans\/[^/]+)/.exec(ctx.path)?.[0] ?? '/inbox')
    : ctx.url;
  const query = new URLSearchParams({
    ...(back !== '/' && back !== '/inbox' && { next: back }),
    ...(isForm && { late: '1' }),
  });
  ctx.redirect(`/sign-in${query.size > 0 ? `?${query.toString()}` : ''}`);
  ctx.status = 303;
}

const titles: Readonly<Record<string, readonly [status: number, title: string, meaning: string]>> = {
  PlanNotFound: [
    404,
    'There is no such plan',
    'It may be a slip of the keys. Or it is gone: plans are kept for a time after their end.',
  ],
  TaskNotFound: [404, 'There is no such task', 'The plan may have been started anew with other tasks.'],
  ApprovalNotFound: [404, 'There is no such request', 'It may be a slip of the keys, or its plan is gone.'],
  ArtifactNotFound: [404, 'There is no such document', 'It may have been kept for a time only.'],
  AgentNotFound: [404, 'There is no such agent', 'It may have gone, or it was started under another name.'],
  PermissionDenied: [403, 'You may not do this', ''],
  NotEligible: [403, 'You may not answer this', ''],
  InvalidInput: [400, 'This does not fit', ''],
  TooLarge: [413, 'This is too large', ''],
  PlanInvalid: [400, 'The plan is wrong', ''],
  PlanExists: [409, 'The id is taken by another plan', 'Go back and start it again: it gets another id.'],
  PlanClosed: [409, 'The plan has ended', 'Nothing can be changed in it any more.'],
  PlanStateConflict: [409, 'This does not go together', ''],
  TaskStateConflict: [409, 'This does not go together', ''],
  WorkflowUnavailable: [
    503,
    'The plans cannot be read now',
    'The page works; what runs the plans does not answer. Nothing you sent was counted. Try again in a moment.',
  ],
  StoreUnavailable: [
    503,
    'Something behind the page does not answer',
    'Nothing you sent was counted. Try again in a moment.',
  ],
};

/** Turns what goes wrong into a page; the unexpected gets a reference that leads to the log. */
export async function showingErrors(deps: PageDeps, ctx: PageContext, work: () => Promise<void>): Promise<void> {
  secureHeaders(ctx);
  try {
    await work();
  } catch (error) {
    const known = error instanceof ServiceFailure ? error : toEdgeFailure(error, () => undefined);
    if (known.type === 'Unauthenticated') {
      toDoor(ctx);
      return;
    }
    const [status, title, meaning] = titles[known.type] ?? [
      500,
      'This did not work',
      'It is not your doing. Nothing you sent was counted.',
    ];
    const reference = status >= 500 ? randomUUID().slice(0, 8) : undefined;
    if (reference !== undefined) deps.logger.error({ id: reference, err: error, path: ctx.path }, 'page failed');
    const words: Part = meaning === '' ? markup`${foreign(known.message)}.` : meaning;
    ctx.status = status;
    await sendError(deps, ctx, title, words, reference);
  }
}

/** For drawing only what the services would allow. */
export function mayCall({ person }: PageSession, method: string): boolean {
  try {
    authorize({ kind: 'person', person, tokenId: '' }, method);
    return true;
  } catch {
    return false;
  }
}

export async function sendError(
  deps: PageDeps,
  ctx: PageContext,
  title: string,
  words: Part,
  reference?: string,
): Promise<void> {
  const session = await deps.sessions.find(ctx.cookies.get(sessionCookie)).catch(() => undefined);
  const main = errorMain(title, words, reference);
  ctx.type = 'html';
  ctx.body = session
    ? page(
        {
          person: session.person.name,
          proof: session.proof,
          theme: themeOf(ctx),
          asked: 0,
          openPlans: undefined,
          readAt: new Date(),
        },
        { title, main },
      ).text
    : door(title, themeOf(ctx), main).text;
}

/** What every page needs to know of the person's work. */
export interface Surroundings {
  readonly frame: Frame;
  readonly reader: Reader;
  readonly open: readonly ApprovalSummary[];
  /** There are more open requests than were read. */
  readonly more: boolean;
}
export async function surroundings(
  { upstream, counts }: PageDeps,
  ctx: PageContext,
  session: PageSession,
): Promise<Surroundings> {
  const { token, person, proof } = session;
  const [open, openPlans] = await Promise.all([
    upstream.approvals.listApprovals({ view: 'open', pageSize: readAtOnce }, { token }),
    counts.plans('running', token),
  ]);
  const reader = readerOf(person.name, open.approvals);
  return {
    frame: {
      person: person.name,
      proof,
      theme: themeOf(ctx),
      asked: reader.asked.size,
      openPlans,
      readAt: new Date(),
    },
    reader,
    open: open.approvals,
    more: open.nextPageToken !== '',
  };
}
export const readerOf = (name: string, open: readonly ApprovalSummary[]): Reader => ({
  name,
  asked: new Set(open.filter(({ waitingForYou }) => waitingForYou).map(({ approvalId }) => approvalId)),
});

export function send(ctx: PageContext, document: Html): void {
  ctx.type = 'html';
  ctx.body = document.text;
}
/** One value of the query; lists are not ours. */
export const queryText = (ctx: PageContext, name: string): string => {
  const value = ctx.query[name];
  return typeof value === 'string' ? value : '';
};
