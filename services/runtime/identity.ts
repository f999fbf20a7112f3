import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { decode, verify, type JwtPayload } from 'jsonwebtoken';
import { z } from 'zod';
import { failure } from '../../workflows/contracts/failures';
import { type Person, roles } from '../../workflows/contracts/people';

/** Who calls: proven by a client certificate of our authority, or by a person's token. */
export type Caller =
  | { readonly kind: 'person'; readonly person: Person; readonly tokenId: string }
  | { readonly kind: 'service'; readonly name: string }
  | { readonly kind: 'agent'; readonly name: string };

/** Names are unique among those of one kind. */
export const nameOf = (caller: Caller): string =>
  `${caller.kind}/${caller.kind === 'person' ? caller.person.name : caller.name}`;

// Specification, Authentication Methods, HITL Interface.
export const tokenIssuer = 'auth.aats.ai';
export const tokenAudience = 'aats-hitl';
const algorithm = 'ES256';

/** The token of an authorization header; the scheme's name may be in any case (RFC 9110, 11.1). Throws Unauthenticated. */
export function bearerOf(authorization: string): string {
  const token = /^bearer +(\S+)$/i.exec(authorization)?.[1];
  if (token === undefined) throw failure('Unauthenticated', 'authorization must be a bearer token');
  return token;
}

const claims = z.object({
  sub: z.string().min(1),
  jti: z.string().min(1),
  exp: z.number(),
  iat: z.number(),
  typ: z.literal('access'),
  roles: z.array(z.enum(roles)),
  groups: z.array(z.string()),
});

/**
 * The only place where a token is believed: ES256 alone, issuer and audience of the specification, and every claim
 * present; libraries accept a token without `exp` unless told otherwise. Throws Unauthenticated.
 */
export function verifyToken(token: string, key: KeyObject): { readonly person: Person; readonly tokenId: string } {
  let payload: JwtPayload | string;
  try {
    payload = verify(token, key, { algorithms: [algorithm], issuer: tokenIssuer, audience: tokenAudience });
  } catch (error) {
    throw failure(
      'Unauthenticated',
      error instanceof Error && error.name === 'TokenExpiredError'
        ? 'the token has expired'
        : 'the token does not verify',
    );
  }
  const parsed = claims.safeParse(payload);
  if (!parsed.success) throw failure('Unauthenticated', 'the token lacks a claim');
  const { sub, jti, roles: held, groups } = parsed.data;
  return { person: { name: sub, roles: held, groups }, tokenId: jti };
}

const jwks = z.object({
  keys: z.array(z.looseObject({ kid: z.string(), kty: z.literal('EC'), crv: z.literal('P-256') })),
});
// Whoever sends unknown key ids must not make us ask without end.
const refetchMs = 10_000;
/** After the keys could not be read. */
const retryMs = 500;

export interface Identities {
  /** Undefined when the certificate names nobody of ours; it must have been verified by TLS before. */
  fromCertificate(certificate: { readonly raw: Buffer } | undefined): Caller | undefined;
  /** Throws Unauthenticated. */
  fromToken(token: string): Promise<Caller>;
}

/** Keys come from one pinned address only, never from the token, and are asked for again at most every 10 s. */
export function createIdentities(options: { readonly jwksUrl: string; readonly ca: Buffer }): Identities {
  let keys = new Map<string, KeyObject>();
  let fetchedAt = 0;
  let fetching: Promise<unknown> | undefined;
  let problem: Error | undefined;
  const refresh = async (): Promise<void> => {
    const answer = jwks.parse(JSON.parse(await get(options.jwksUrl, options.ca)));
    keys = new Map(answer.keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]));
  };
  const keyOf = async (kid: string): Promise<KeyObject> => {
    const known = keys.get(kid);
    if (known) return known; // also while somebody else's unknown key is being looked for
    if (Date.now() - fetchedAt > (problem ? retryMs : refetchMs)) {
      fetchedAt = Date.now();
      fetching = refresh()
        .then(
          () => (problem = undefined),
          (error: unknown) => (problem = error instanceof Error ? error : new Error(String(error))),
        )
        .finally(() => {
          fetching = undefined;
        });
    }
    await fetching;
    const key = keys.get(kid);
    if (key) return key;
    // While the keys cannot be read nobody knows whether this one is among them.
    throw problem
      ? failure('StoreUnavailable', 'the keys of the sign-in service cannot be read', { cause: problem })
      : failure('Unauthenticated', 'the token is signed with an unknown key');
  };
  return {
    fromCertificate(certificate) {
      if (!certificate) return undefined;
      const names = new X509Certificate(certificate.raw).subjectAltName ?? '';
      if (names.includes('"')) return undefined; // a quoted name may hold anything, a comma and a URI too
      const match = /(?:^|, )URI:spiffe:\/\/aats\/(agent|service)\/([a-z0-9][a-z0-9-]{0,62})(?:,|$)/.exec(names);
      const [, kind, name] = match ?? [];
      return (kind === 'agent' || kind === 'service') && name !== undefined ? { kind, name } : undefined;
    },
    async fromToken(token) {
      const kid = decode(token, { complete: true })?.header.kid;
      if (kid === undefined) throw failure('Unauthenticated', 'the token does not say which key signed it');
      return { kind: 'person', ...verifyToken(token, await keyOf(kid)) };
    },
  };
}

function get(url: string, ca: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(url, { ca, minVersion: 'TLSv1.3', timeout: 3000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${url} answered ${response.statusCode ?? 0}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${url} does not answer`)));
    call.on('error', reject);
    call.end();
  });
}
