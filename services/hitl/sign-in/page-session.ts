import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { decode } from 'jsonwebtoken';
import { z } from 'zod';
import { toEdgeFailure } from '../../runtime/failure-status';
import { type Person, roles } from '../../../workflows/contracts/people';
import type { SessionStore, SignIn } from './sign-in';
import type { Tokens } from './tokens';

/** A person at the page; the token stays at the server. */
export interface PageSession {
  readonly person: Person;
  /** For calls in the person's name; good for at least the next half minute. */
  readonly token: string;
  /** Synchroniser token: what a form must bring along. */
  readonly proof: string;
  readonly endsAt: Date;
}
export interface PageSessions {
  /** Opens a session; the answer is the secret of the cookie and for how many seconds it is good. */
  begin(tokens: Tokens): Promise<{ readonly secret: string; readonly seconds: number }>;
  /** Undefined when there is none, or it has ended, or its refresh token was used elsewhere. */
  find(secret: string | undefined): Promise<PageSession | undefined>;
  /** Ends the session and its family of tokens. Idempotent. */
  end(secret: string): Promise<void>;
}

const stored = z.object({
  person: z.object({ name: z.string(), roles: z.array(z.enum(roles)), groups: z.array(z.string()) }),
  proof: z.string(),
  accessToken: z.string(),
  accessEndsAt: z.number(),
  refreshToken: z.string(),
  endsAt: z.number(),
});
type Stored = z.output<typeof stored>;

// A token with less left than this is renewed before it is used.
const renewMs = 60_000;
const lockSeconds = 10;
const lockPollMs = 100;

// Who reads the store's keys finds no cookie there.
const keyOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url');
const claims = z.object({ sub: z.string(), roles: z.array(z.enum(roles)), groups: z.array(z.string()) });

/** The tokens were made by this very process' issuer a moment ago, so their claims are read and not verified. */
function sessionOf(tokens: Tokens, proof: string, now: number): Stored {
  const { sub, roles: held, groups } = claims.parse(decode(tokens.accessToken));
  return {
    person: { name: sub, roles: held, groups },
    proof,
    accessToken: tokens.accessToken,
    accessEndsAt: now + tokens.expiresIn * 1000,
    refreshToken: tokens.refreshToken,
    endsAt: now + tokens.refreshExpiresIn * 1000,
  };
}

export function createPageSessions(store: SessionStore, signIn: Pick<SignIn, 'refresh' | 'signOut'>): PageSessions {
  const put = (key: string, session: Stored): Promise<void> =>
    store.put(key, JSON.stringify(session), Math.floor((session.endsAt - Date.now()) / 1000));
  const get = async (key: string): Promise<Stored | undefined> => {
    const text = await store.get(key);
    return text === null ? undefined : stored.parse(JSON.parse(text));
  };
  const isFresh = (session: Stored): boolean => session.accessEndsAt - Date.now() > renewMs;
  /** One renewal at a time, over all processes: a refresh token that is used twice ends its family. */
  const renew = async (key: string, session: Stored): Promise<Stored | undefined> => {
    if (await store.lock(key, lockSeconds)) {
      try {
        const current = await get(key);
        if (!current || isFresh(current)) return current;
        const renewed = sessionOf(await signIn.refresh(current.refreshToken), current.proof, Date.now());
        await put(key, renewed);
        return renewed;
      } catch (error) {
        if (toEdgeFailure(error, () => undefined).type === 'Unauthenticated') {
          await store.delete(key);
          return undefined;
        }
        // A store that is away for a moment signs nobody out; the token at hand may still be good.
        if (session.accessEndsAt > Date.now()) return session;
        throw error;
      } finally {
        await store.unlock(key);
      }
    }
    for (const end = Date.now() + lockSeconds * 1000; Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, lockPollMs));
      const current = await get(key);
      if (!current || isFresh(current)) return current;
    }
    return session.accessEndsAt > Date.now() ? session : undefined;
  };
  return {
    async begin(tokens) {
      const secret = randomBytes(32).toString('base64url');
      await put(keyOf(secret), sessionOf(tokens, randomBytes(24).toString('base64url'), Date.now()));
      return { secret, seconds: tokens.refreshExpiresIn };
    },
    async find(secret) {
      if (secret === undefined || !/^[\w-]{43}$/.test(secret)) return undefined;
      const key = keyOf(secret);
      const found = await get(key);
      if (!found || found.endsAt <= Date.now()) return undefined;
      const session = isFresh(found) ? found : await renew(key, found);
      if (!session) return undefined;
      const { person, accessToken, proof, endsAt } = session;
      return { person, token: accessToken, proof, endsAt: new Date(endsAt) };
    },
    async end(secret) {
      const key = keyOf(secret);
      const session = await get(key);
      await store.delete(key);
      if (session) await signIn.signOut(session.refreshToken);
    },
  };
}

/** Whether a form's proof is the session's, in the same time for every wrong one. */
export const isProof = (given: string | undefined, proof: string): boolean => {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(hash(given), hash(proof));
};
