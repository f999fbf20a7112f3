import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { Secret, TOTP } from 'otpauth';
import type { PeopleStore } from '../../../activities/stores/people-store';
import type { RedisCluster } from '../../../activities/stores/redis';
import { failure } from '../../../workflows/contracts/failures';
import type { TokenIssuer, Tokens } from './tokens';

export interface SignIn {
  /** First factor; throws Unauthenticated in the same time and words whether the name or the password is wrong, and RateLimited. */
  begin(name: string, password: string, from: string): Promise<{ readonly challenge: string }>;
  /** Second factor; a code counts once. Throws Unauthenticated, RateLimited. */
  complete(challenge: string, code: string): Promise<Tokens>;
  refresh(refreshToken: string): Promise<Tokens>;
  signOut(refreshToken: string): Promise<void>;
}

const challengeSeconds = 300;
const codeTries = 5;
const windowSeconds = 15 * 60;
const triesByName = 10;
const triesByAddress = 100;
const stepSeconds = 30;

// One write, so that a count is never stored without its end, which would lock somebody out for good; one that has none begins anew.
const countFor = `
if redis.call('TTL', KEYS[1]) < 0 then
  redis.call('SET', KEYS[1], 1, 'EX', ARGV[1])
  return 1
end
return redis.call('INCR', KEYS[1])`;

/** OWASP's parameters of argon2id: 19 MiB, two passes, one lane. */
export const hashPassword = (password: string): Promise<string> =>
  hash(password, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });

export function createSignIn(people: PeopleStore, tokens: TokenIssuer, redis: RedisCluster): SignIn {
  // An unknown name costs as much time as a known one.
  const nobody = hashPassword(randomBytes(16).toString('hex'));
  const counted = async (key: string, seconds: number): Promise<number> =>
    Number(await redis.eval(countFor, 1, key, seconds));
  const count = async (key: string, limit: number): Promise<void> => {
    if ((await counted(key, windowSeconds)) > limit)
      throw failure('RateLimited', 'too many tries; wait a quarter of an hour');
  };
  const wrong = (): Error => failure('Unauthenticated', 'name, password or code is wrong');
  return {
    async begin(name, password, from) {
      await count(`limit:address:${from}`, triesByAddress);
      await count(`limit:name:${name.slice(0, 64)}`, triesByName);
      const person = await people.find(name);
      const matches = await verify(person?.passwordHash ?? (await nobody), password);
      if (!person || !matches) throw wrong();
      const challenge = randomBytes(24).toString('base64url');
      await redis.set(`signin:${challenge}`, name, 'EX', challengeSeconds);
      return { challenge };
    },
    async complete(challenge, code) {
      const key = `signin:${challenge.slice(0, 64)}`;
      const name = await redis.get(key);
      if (name === null) throw failure('Unauthenticated', 'this sign-in has expired; begin again');
      if ((await counted(`${key}:tries`, challengeSeconds)) > codeTries) {
        await redis.del(key);
        throw failure('RateLimited', 'too many wrong codes; begin again');
      }
      const person = await people.find(name);
      if (!person) throw wrong();
      const totp = new TOTP({
        secret: Secret.fromBase32(person.totpSecret),
        digits: 6,
        period: stepSeconds,
        algorithm: 'SHA1',
      });
      // The clock of a phone may be a step off (RFC 6238, 5.2).
      const delta = /^\d{6}$/.test(code) ? totp.validate({ token: code, window: 1 }) : null;
      if (delta === null) throw wrong();
      const step = Math.floor(Date.now() / 1000 / stepSeconds) + delta;
      if (!(await people.useTotpStep(name, step)))
        throw failure('Unauthenticated', 'this code was used before; wait for the next one');
      await redis.del(key);
      await redis.del(`limit:name:${name}`);
      return tokens.issue(person);
    },
    refresh: (refreshToken) => tokens.refresh(refreshToken, (name) => people.find(name)),
    signOut: (refreshToken) => tokens.revoke(refreshToken),
  };
}

/** Sessions of the page: what belongs to a cookie, kept at the server. */
export interface SessionStore {
  put(id: string, value: string, seconds: number): Promise<void>;
  get(id: string): Promise<string | null>;
  delete(id: string): Promise<void>;
  /** Whether this caller holds the session's lock now; it goes by itself after `seconds`. */
  lock(id: string, seconds: number): Promise<boolean>;
  unlock(id: string): Promise<void>;
}
export const createSessionStore = (redis: RedisCluster): SessionStore => ({
  put: async (id, value, seconds) => void (await redis.set(`session:${id}`, value, 'EX', Math.max(1, seconds))),
  get: (id) => redis.get(`session:${id}`),
  delete: async (id) => void (await redis.del(`session:${id}`)),
  lock: async (id, seconds) => (await redis.set(`session:${id}:lock`, '1', 'EX', seconds, 'NX')) === 'OK',
  unlock: async (id) => void (await redis.del(`session:${id}:lock`)),
});
