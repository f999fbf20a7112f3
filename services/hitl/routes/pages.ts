import type Router from '@koa/router';
import type { SignIn } from '../sign-in/sign-in';
import { addAgents } from './agents';
import { addApprovals } from './approvals';
import { createCounts } from './counts';
import { addAssets, addDocuments } from './documents';
import { addEvents } from './events';
import { addInbox } from './inbox';
import { type PageDeps, sendError, showingErrors } from './page-context';
import { createGateReader } from './plan-gates';
import { addPlans } from './plans';
import { addSettings } from './settings';
import { addSignInPages, nothingHere } from './sign-in-pages';
import { addStart } from './start';

/** The people's page: everything a browser asks for. */
export function addPages(router: Router, parts: Omit<PageDeps, 'gates' | 'counts'>, signIn: SignIn): void {
  const deps: PageDeps = {
    ...parts,
    gates: createGateReader(parts.upstream),
    counts: createCounts(parts.upstream),
  };
  addAssets(router);
  addSignInPages(router, deps, signIn);
  addInbox(router, deps);
  addApprovals(router, deps);
  addStart(router, deps);
  addPlans(router, deps);
  addEvents(router, deps);
  addAgents(router, deps);
  addSettings(router, deps);
  addDocuments(router, deps);
  router.get('/{*path}', (ctx, next) => {
    // Programs get the service's own answer.
    if (ctx.accepts('json', 'html') !== 'html') return next();
    return showingErrors(deps, ctx, async () => {
      ctx.status = 404;
      await sendError(deps, ctx, 'There is nothing at this address', nothingHere);
    });
  });
}
