import type Router from '@koa/router';
import type { ApprovalSummary } from '../../../proto/aats/project/v1/project_pb';
import { page } from '../page/frame';
import { type Inbox, inboxMain, type InboxOrder, inboxOrders, type InboxView, inboxViews } from '../page/inbox-page';
import { dateOf } from '../page/words';
import { countWords } from './counts';
import { type PageDeps, queryText, send, signedIn, surroundings } from './page-context';

const oneOf = <T extends string>(values: readonly T[], text: string, otherwise: T): T =>
  values.find((value) => value === text) ?? otherwise;
const orders = Object.keys(inboxOrders) as InboxOrder[];

/** Lines of a page; answered ones are asked for one by one. */
const openShown = 40;
const doneShown = 20;

/** Open, Mine and Done; what the search and the order say stands in the address. */
export function addInbox(router: Router, deps: PageDeps): void {
  router.get('/', (ctx) => {
    ctx.redirect('/inbox');
  });
  router.get(
    '/inbox',
    signedIn(deps, async (ctx, session) => {
      const view: InboxView = oneOf(inboxViews, queryText(ctx, 'view'), 'open');
      const order = oneOf(orders, queryText(ctx, 'sort'), view === 'done' ? 'newest' : 'expires');
      const search = queryText(ctx, 'q').slice(0, 100).trim();
      const [{ frame, open, more, reader }, done] = await Promise.all([
        surroundings(deps, ctx, session),
        deps.counts.done(session.token),
      ]);
      const all =
        view === 'done' ? done.approvals : view === 'mine' ? open.filter(({ waitingForYou }) => waitingForYou) : open;
      const fitting = all.filter((request) => fits(request, search)).sort(by[order]);
      const from = Math.min(
        Number(/^\d{1,3}$/.exec(queryText(ctx, 'from'))?.[0] ?? 0),
        Math.max(0, fitting.length - 1),
      );
      const requests = fitting.slice(from, from + (view === 'done' ? doneShown : openShown));
      const inbox: Inbox = {
        view,
        search,
        order,
        requests,
        from,
        fitting: fitting.length,
        counts: {
          open: countWords(open.length, more),
          mine: countWords(reader.asked.size, more),
          done: done.count,
        },
        answered:
          view === 'done'
            ? await deps.gates.answered(
                requests.map(({ approvalId }) => approvalId),
                session.token,
              )
            : new Map(),
        past: done.approvals,
        person: session.person.name,
        now: frame.readAt,
      };
      send(ctx, page(frame, { title: 'Inbox', at: 'inbox', main: inboxMain(inbox), live: { again: ctx.url } }));
    }),
  );
}

const fits = ({ title, planTitle, planId, requestedBy }: ApprovalSummary, search: string): boolean =>
  search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => `${title} ${planTitle} ${planId} ${requestedBy}`.toLowerCase().includes(word));

const time = (request: ApprovalSummary, key: 'expiresAt' | 'requestedAt'): number =>
  dateOf(request[key])?.getTime() ?? 0;
const by: Readonly<Record<InboxOrder, (a: ApprovalSummary, b: ApprovalSummary) => number>> = {
  expires: (a, b) => time(a, 'expiresAt') - time(b, 'expiresAt'),
  oldest: (a, b) => time(a, 'requestedAt') - time(b, 'requestedAt'),
  newest: (a, b) => time(b, 'requestedAt') - time(a, 'requestedAt'),
};
