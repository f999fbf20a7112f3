import type Router from '@koa/router';
import { type Html, markup } from '../page/html';
import { codePage, passwordPage } from '../page/sign-in-page';
import { toEdgeFailure } from '../../runtime/failure-status';
import type { SignIn } from '../sign-in/sign-in';
import {
  field,
  type PageContext,
  type PageDeps,
  queryText,
  readForm,
  requireOwnSite,
  send,
  sessionCookie,
  showingErrors,
  signedIn,
  themeOf,
} from './page-context';

/** Only a path of our own: whoever made the link may not send people elsewhere. */
const ownPath = (next: string): string => (/^\/(?![/\\])[\x21-\x7e]*$/.test(next) ? next : '/inbox');

const words: Readonly<Record<string, string>> = {
  Unauthenticated: 'Name or password is wrong.',
  RateLimited: 'Too many tries. Wait a quarter of an hour, then try again.',
};

/** The door: password, then code; the same functions as for programs, and a cookie at the end. */
export function addSignInPages(router: Router, deps: PageDeps, signIn: SignIn): void {
  const open = (ctx: PageContext, work: () => Promise<void>): Promise<void> => showingErrors(deps, ctx, work);
  const refused = (ctx: PageContext, error: unknown, show: (type: string, message: string) => Html): void => {
    const { type, message } = toEdgeFailure(error, () => undefined);
    if (type !== 'Unauthenticated' && type !== 'RateLimited') throw error;
    ctx.status = type === 'RateLimited' ? 429 : 401;
    send(ctx, show(type, message));
  };
  router.get('/sign-in', (ctx) =>
    open(ctx, async () => {
      const said =
        queryText(ctx, 'out') === '1'
          ? 'You are signed out. Your plans go on.'
          : queryText(ctx, 'late') === '1'
            ? 'Your sign-in had ended, so nothing that you sent was counted. Sign in, then send it again.'
            : undefined;
      send(ctx, passwordPage({ theme: themeOf(ctx), next: ownPath(queryText(ctx, 'next')), name: '', said }));
      return Promise.resolve();
    }),
  );
  router.post('/sign-in', (ctx) =>
    open(ctx, async () => {
      requireOwnSite(ctx);
      const form = await readForm(ctx);
      const [name, next] = [field(form, 'name').trim(), ownPath(field(form, 'next'))];
      try {
        const { challenge } = await signIn.begin(name, field(form, 'password'), ctx.ip);
        send(ctx, codePage({ theme: themeOf(ctx), next, name, challenge }));
      } catch (error) {
        refused(ctx, error, (type) => passwordPage({ theme: themeOf(ctx), next, name, problem: words[type] }));
      }
    }),
  );
  router.post('/sign-in/code', (ctx) =>
    open(ctx, async () => {
      requireOwnSite(ctx);
      const form = await readForm(ctx);
      const [name, challenge, next] = [
        field(form, 'name').slice(0, 63),
        field(form, 'challenge'),
        ownPath(field(form, 'next')),
      ];
      try {
        const tokens = await signIn.complete(challenge, field(form, 'code').replace(/\s/g, ''));
        const { secret, seconds } = await deps.sessions.begin(tokens);
        // What the browser held before is worth nothing from now on.
        const earlier = ctx.cookies.get(sessionCookie);
        if (earlier !== undefined) await deps.sessions.end(earlier);
        ctx.cookies.set(sessionCookie, secret, {
          httpOnly: true,
          secure: true,
          sameSite: 'strict',
          path: '/',
          maxAge: seconds * 1000,
        });
        ctx.redirect(next);
        ctx.status = 303;
      } catch (error) {
        refused(ctx, error, (_type, message) =>
          message.includes('begin again')
            ? passwordPage({
                theme: themeOf(ctx),
                next,
                name,
                problem: 'This took too long or too many tries. Begin again.',
              })
            : codePage({
                theme: themeOf(ctx),
                next,
                name,
                challenge,
                problem: message.includes('used before')
                  ? 'This code was used already. Wait for the next one, at most 30 seconds.'
                  : 'This code does not fit. Enter the one that your app shows now.',
              }),
        );
      }
    }),
  );
  router.post(
    '/sign-out',
    signedIn(deps, async (ctx) => {
      await deps.sessions.end(ctx.cookies.get(sessionCookie) ?? '');
      ctx.cookies.set(sessionCookie, '', { httpOnly: true, secure: true, sameSite: 'strict', path: '/', maxAge: 0 });
      ctx.redirect('/sign-in?out=1');
      ctx.status = 303;
    }),
  );
}

export const nothingHere = markup`It may be a slip of the keys, or an old link.`;
