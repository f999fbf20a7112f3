import type Router from '@koa/router';
import { z } from 'zod';
import { parseBody } from '../../runtime/http';
import type { SignIn } from './sign-in';
import type { TokenIssuer } from './tokens';

const nameAndPassword = z.strictObject({ name: z.string().min(1).max(63), password: z.string().min(1).max(1000) });
const challengeAndCode = z.strictObject({
  challenge: z.string().min(1).max(64),
  code: z.string().regex(/^\d{6}$/, 'six digits'),
});
const refreshOnly = z.strictObject({ refreshToken: z.string().min(1).max(200) });

/** Sign-in for programs and the command line; the page uses the same functions. */
export function addSignInRoutes(router: Router, signIn: SignIn, tokens: TokenIssuer): void {
  router.post('/v1/sign-in', async (ctx) => {
    const { name, password } = await parseBody(ctx, nameAndPassword);
    ctx.body = await signIn.begin(name, password, ctx.ip);
  });
  router.post('/v1/sign-in/code', async (ctx) => {
    const { challenge, code } = await parseBody(ctx, challengeAndCode);
    ctx.set('cache-control', 'no-store');
    ctx.body = await signIn.complete(challenge, code);
  });
  router.post('/v1/sign-in/refresh', async (ctx) => {
    ctx.set('cache-control', 'no-store');
    ctx.body = await signIn.refresh((await parseBody(ctx, refreshOnly)).refreshToken);
  });
  router.post('/v1/sign-out', async (ctx) => {
    await signIn.signOut((await parseBody(ctx, refreshOnly)).refreshToken);
    ctx.status = 204;
  });
  router.get('/.well-known/jwks.json', (ctx) => {
    ctx.set('cache-control', 'public, max-age=60');
    ctx.body = tokens.jwks;
  });
}
