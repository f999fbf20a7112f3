import type Router from '@koa/router';
import { page } from '../page/frame';
import { settingsMain } from '../page/settings-page';
import {
  field,
  type PageContext,
  type PageDeps,
  queryText,
  send,
  signedIn,
  surroundings,
  themeOf,
} from './page-context';

const year = 365 * 24 * 3_600_000;

/** What a person may choose for this browser; kept in cookies that the script reads too. */
export function addSettings(router: Router, deps: PageDeps): void {
  router.get(
    '/settings',
    signedIn(deps, async (ctx, session) => {
      const { frame } = await surroundings(deps, ctx, session);
      const main = settingsMain({
        person: session.person,
        proof: session.proof,
        theme: themeOf(ctx),
        singleKeys: ctx.cookies.get('aats-keys') !== 'off',
        endsAt: session.endsAt,
        now: frame.readAt,
        isSaved: queryText(ctx, 'saved') === '1',
      });
      send(ctx, page(frame, { title: 'Settings', main }));
    }),
  );
  const keep = (ctx: PageContext, name: string, value: string): void => {
    ctx.cookies.set(name, value, {
      httpOnly: false,
      secure: true,
      sameSite: 'lax',
      path: '/',
      maxAge: value === '' ? 0 : year,
    });
  };
  router.post(
    '/settings',
    signedIn(deps, async (ctx, _session, form) => {
      const theme = field(form, 'theme');
      keep(ctx, 'aats-theme', theme === 'light' || theme === 'dark' ? theme : '');
      keep(ctx, 'aats-keys', field(form, 'keys') === 'on' ? 'on' : 'off');
      ctx.redirect('/settings?saved=1');
      ctx.status = 303;
      return Promise.resolve();
    }),
  );
}
