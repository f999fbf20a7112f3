import type Router from '@koa/router';
import { authorize } from '../../runtime/roles';
import { takesMore } from '../../runtime/slow-reader';
import { approvalGraph } from '../page/approval-page';
import type { Gate } from '../page/gates';
import { markup, type Html } from '../page/html';
import { note } from '../page/marks';
import { planParts } from '../page/plan-page';
import type { PlanState } from '../plan-hub';
import type { PageSession } from '../sign-in/page-session';
import type { Reader } from '../page/task-words';
import { readAtOnce } from './counts';
import { type PageContext, type PageDeps, queryText, readerOf, sessionCookie, signedIn } from './page-context';
import { ended, maySteer, planIdOf, planView } from './plans';

/** Changes are gathered this long; times that run on are drawn anew at the slower pace. */
const gatherMs = 400;
const tickMs = 5000;
const sessionCheckMs = 60_000;

/**
 * The parts of a page that changed, as HTML by the id of their element, made by the same functions as the page itself.
 * One watch of the plan serves all its readers; a reader costs the drawing and nothing at the services.
 */
export function addEvents(router: Router, deps: PageDeps): void {
  router.get(
    '/plans/:plan/events',
    signedIn(deps, async (ctx, session) => {
      authorize({ kind: 'person', person: session.person, tokenId: '' }, 'aats.project.v1.ProjectManager/WatchPlan');
      const approvalId = queryText(ctx, 'approval');
      const view = planView(ctx);
      let reader = await askReader(deps, session);
      let gates: readonly Gate[] = [];
      let waited: string | undefined;
      const render = async (state: PlanState): Promise<Readonly<Record<string, Html>>> => {
        const waits = state.plan.waitingFor.map((one) => one.approvalId).join();
        // Who is asked changes only with the requests of the plan.
        if (waits !== waited) {
          [reader, gates] = await Promise.all([
            askReader(deps, session).catch(() => reader),
            deps.gates.of(state.plan, session.token),
          ]);
          waited = waits;
        }
        const now = { ...state, gates, reader, now: new Date() };
        if (approvalId === '') return planParts({ ...now, proof: session.proof, maySteer: maySteer(session), ...view });
        const answered = !state.plan.waitingFor.some((one) => one.approvalId === approvalId);
        return {
          'p-graph': approvalGraph(now),
          'p-answered': answered
            ? note(
                'info',
                'This request is no longer open.',
                markup`<p>Somebody answered it, or the plan no longer asks. <a href="/approvals/${approvalId}">See what happened</a></p>`,
              )
            : markup``,
        };
      };
      await stream(deps, ctx, session, render);
    }),
  );
}

const askReader = async ({ upstream }: PageDeps, { token, person }: PageSession): Promise<Reader> =>
  readerOf(
    person.name,
    (await upstream.approvals.listApprovals({ view: 'open', pageSize: readAtOnce }, { token })).approvals,
  );

/** Writes until the reader leaves, the plan or the session has ended, or this process ends. */
function stream(
  deps: PageDeps,
  ctx: PageContext,
  session: PageSession,
  render: (state: PlanState) => Promise<Readonly<Record<string, Html>>>,
): Promise<void> {
  const { res } = ctx;
  ctx.respond = false;
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  res.write('retry: 2000\n\n');
  const sent = new Map<string, string>();
  const write = (event: string, data: unknown): void => {
    // A reader that does not keep up misses a drawing, and gets the next one whole.
    if (res.writableNeedDrain || res.writableEnded) return;
    if (!res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`))
      takesMore(res, deps.patienceMs).catch(() => res.destroy());
  };
  let gathering: NodeJS.Timeout | undefined;
  let drawing = false;
  let wasTold = false;
  const draw = async (): Promise<void> => {
    gathering = undefined;
    const state = following.current();
    // Of a plan that cannot be followed the page shows how it stood when it was opened.
    if (!state && wasTold) write('state', { live: false, at: new Date().toISOString() });
    if (!state || drawing || res.writableNeedDrain) return;
    drawing = true;
    try {
      const parts = await render(state);
      const changed = Object.entries(parts).filter(([id, { text }]) => sent.get(id) !== text);
      for (const [id, { text }] of changed) sent.set(id, text);
      write('state', { live: following.isLive() || ended(state.plan), at: new Date().toISOString() });
      if (changed.length > 0) write('parts', Object.fromEntries(changed.map(([id, { text }]) => [id, text])));
      if (ended(state.plan)) {
        write('end', {});
        res.end();
      }
    } catch (error) {
      deps.logger.warn({ err: error, path: ctx.path }, 'a live page could not be drawn');
    } finally {
      drawing = false;
    }
  };
  const following = deps.hub.follow(planIdOf(ctx), session.token, () => {
    wasTold = true;
    gathering ??= setTimeout(() => void draw(), gatherMs);
  });
  const tick = setInterval(() => void draw(), tickMs);
  const check = setInterval(() => {
    void deps.sessions.find(ctx.cookies.get(sessionCookie)).then(
      (found) => {
        if (found) return;
        write('gone', {});
        res.end();
      },
      () => undefined, // the store may come back before the session ends
    );
  }, sessionCheckMs);
  const letGo = (): void => {
    res.end();
  };
  deps.draining.addEventListener('abort', letGo);
  return new Promise((resolve) => {
    res.once('close', () => {
      deps.draining.removeEventListener('abort', letGo);
      clearInterval(tick);
      clearInterval(check);
      clearTimeout(gathering);
      following.stop();
      resolve();
    });
    void draw();
  });
}
