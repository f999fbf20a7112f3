import type Router from '@koa/router';
import type { SignIn } from '../sign-in/sign-in';
import { addApprovals } from './approvals';
import { addAssets, addDocuments } from './documents';
import { addEvents } from './events';
import { addInbox } from './inbox';
import { type PageDeps, sendError, showingErrors } from './page-context';
import { addPlans } from './plans';
import { addSignInPages, nothingHere } from './sign-in-pages';

/** The people's page: everything a browser asks for. */
export function addPages(router: Router, deps: PageDeps, signIn: SignIn): void {
  addAssets(router);
  addSignInPages(router, deps, signIn);
  addInbox(router, deps);
  addApprovals(router, deps);
  addPlans(router, deps);
  addEvents(router, deps);
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
