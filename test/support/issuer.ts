import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { sign, type SignOptions } from 'jsonwebtoken';
import Koa from 'koa';
import { startHttpsServer } from '../../services/runtime/http';
import { tokenAudience, tokenIssuer } from '../../services/runtime/identity';
import type { TlsMaterial } from '../../services/runtime/tls';
import type { Person } from '../../workflows/contracts/people';

/** A sign-in service as far as other services know it: an address with keys, and tokens that these sign. */
export async function startIssuer(tls: TlsMaterial) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomUUID();
  let fetches = 0;
  const app = new Koa();
  app.use((ctx) => {
    fetches += 1;
    ctx.body = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] };
  });
  const server = await startHttpsServer({ tls, port: 0, app });
  return {
    jwksUrl: `https://localhost:${server.port}/.well-known/jwks.json`,
    publicKey,
    privateKey,
    kid,
    fetches: () => fetches,
    /** A token as the real service signs it, but for what is given. */
    token: (person: Person, claims: object = {}, options: SignOptions = {}): string =>
      sign({ roles: person.roles, groups: person.groups, typ: 'access', ...claims }, privateKey, {
        algorithm: 'ES256',
        keyid: kid,
        issuer: tokenIssuer,
        audience: tokenAudience,
        subject: person.name,
        jwtid: randomUUID(),
        expiresIn: 1800,
        ...options,
      }),
    close: () => server.close(0),
  };
}
export type Issuer = Awaited<ReturnType<typeof startIssuer>>;

export const person = (name: string, role: Person['roles'][number], ...groups: readonly string[]): Person => ({
  name,
  roles: [role],
  groups,
});
