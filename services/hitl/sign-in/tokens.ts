import { createHash, createPrivateKey, createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { sign } from 'jsonwebtoken';
import type { RedisCluster } from '../../../activities/stores/redis';
import { failure } from '../../../workflows/contracts/failures';
import type { Person } from '../../../workflows/contracts/people';
import { tokenAudience, tokenIssuer } from '../../runtime/identity';

// Specification, Authentication Methods, HITL Interface.
export const accessSeconds = 30 * 60;
export const refreshSeconds = 8 * 60 * 60;

export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly refreshExpiresIn: number;
}
export interface TokenIssuer {
  /** Begins a family of refresh tokens. */
  issue(person: Person): Promise<Tokens>;
  /**
   * A new pair for the newest refresh token of a family. An older one means that two hold the family: it ends for both
   * (RFC 9700, 4.14.2). Throws Unauthenticated. `reload` says who the person is now.
   */
  refresh(refreshToken: string, reload: (name: string) => Promise<Person | undefined>): Promise<Tokens>;
  /** Ends the family. Idempotent. */
  revoke(refreshToken: string): Promise<void>;
  readonly jwks: { readonly keys: readonly object[] };
}

interface Family {
  readonly name: string;
  readonly current: string;
  readonly endsAt: number;
}

const keyOf = (family: string): string => `refresh:${family}`;
const hash = (text: string): string => createHash('sha256').update(text).digest('base64url');
// Compare and set in one step, so that of two uses of a token at once only one counts.
const rotate = `
local text = redis.call('GET', KEYS[1])
if not text then return 'gone' end
if text ~= ARGV[1] then return 'other' end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 'ok'`;

export function createTokenIssuer(redis: RedisCluster, signingKeyPem: string): TokenIssuer {
  const privateKey = createPrivateKey(signingKeyPem);
  const publicJwk = createPublicKey(signingKeyPem).export({ format: 'jwk' });
  const kid = hash(JSON.stringify({ crv: publicJwk.crv, kty: publicJwk.kty, x: publicJwk.x, y: publicJwk.y })); // RFC 7638
  const access = (person: Person): string =>
    sign({ roles: person.roles, groups: person.groups, typ: 'access' }, privateKey, {
      algorithm: 'ES256',
      keyid: kid,
      issuer: tokenIssuer,
      audience: tokenAudience,
      subject: person.name,
      jwtid: randomUUID(),
      expiresIn: accessSeconds,
    });
  const pair = (person: Person, family: string, secret: string, endsAt: number): Tokens => ({
    accessToken: access(person),
    refreshToken: `${family}.${secret}`,
    expiresIn: accessSeconds,
    refreshExpiresIn: Math.max(0, Math.floor((endsAt - Date.now()) / 1000)),
  });
  const parse = (refreshToken: string): readonly [string, string] => {
    const [family = '', secret = ''] = refreshToken.split('.');
    if (!/^[\w-]{20,64}$/.test(family) || secret === '') throw failure('Unauthenticated', 'the session has ended');
    return [family, secret];
  };
  return {
    jwks: { keys: [{ ...publicJwk, kid, alg: 'ES256', use: 'sig' }] },
    async issue(person) {
      const [family, secret] = [randomBytes(18).toString('base64url'), randomBytes(24).toString('base64url')];
      const endsAt = Date.now() + refreshSeconds * 1000;
      const content: Family = { name: person.name, current: hash(secret), endsAt };
      await redis.set(keyOf(family), JSON.stringify(content), 'EX', refreshSeconds);
      return pair(person, family, secret, endsAt);
    },
    async refresh(refreshToken, reload) {
      const [family, secret] = parse(refreshToken);
      const text = await redis.get(keyOf(family));
      if (text === null) throw failure('Unauthenticated', 'the session has ended');
      const known = JSON.parse(text) as Family;
      if (known.current !== hash(secret)) {
        await redis.del(keyOf(family));
        throw failure('Unauthenticated', 'the session was ended, because an old token of it was used again');
      }
      const person = await reload(known.name);
      if (!person) throw failure('Unauthenticated', 'the session has ended');
      const next = randomBytes(24).toString('base64url');
      const answer = await redis.eval(
        rotate,
        1,
        keyOf(family),
        text,
        JSON.stringify({ ...known, current: hash(next) } satisfies Family),
      );
      if (answer !== 'ok') {
        await redis.del(keyOf(family));
        throw failure('Unauthenticated', 'the session was ended, because its token was used twice at once');
      }
      return pair(person, family, next, known.endsAt);
    },
    async revoke(refreshToken) {
      const [family] = parse(refreshToken);
      await redis.del(keyOf(family));
    },
  };
}
