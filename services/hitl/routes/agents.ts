import type Router from '@koa/router';
import { page } from '../page/frame';
import { agentsMain, drained } from '../page/agents-page';
import { mayCall, type PageDeps, queryText, send, signedIn, surroundings } from './page-context';

const idPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Who is there to work, as the coordinator knows it. */
export function addAgents(router: Router, deps: PageDeps): void {
  const { agents } = deps.upstream;
  router.get(
    '/agents',
    signedIn(deps, async (ctx, session) => {
      const [{ frame }, answer] = await Promise.all([
        surroundings(deps, ctx, session),
        agents.listAgents({}, { token: session.token }),
      ]);
      const told = queryText(ctx, 'drained');
      const main = agentsMain({
        agents: [...answer.agents].sort((a, b) => a.agentId.localeCompare(b.agentId)),
        queued: answer.queued,
        search: queryText(ctx, 'q').slice(0, 100).trim(),
        proof: session.proof,
        maySteer: mayCall(session, 'aats.communication.v1.CommunicationCoordinator/DrainAgent'),
        now: frame.readAt,
        ...(idPattern.test(told) && { note: drained(told) }),
      });
      send(ctx, page(frame, { title: 'Agents', at: 'agents', main, live: { again: ctx.url } }));
    }),
  );
  router.post(
    '/agents/:agent/drain',
    signedIn(deps, async (ctx, { token }) => {
      const { agent = '' } = ctx['params'] as Record<string, string | undefined>;
      await agents.drainAgent({ agentId: agent }, { token });
      ctx.redirect(`/agents?drained=${encodeURIComponent(agent)}`);
      ctx.status = 303;
    }),
  );
}
