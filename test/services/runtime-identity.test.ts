import { createSecretKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { sign } from 'jsonwebtoken';
import { bearerOf, createIdentities, tokenAudience, tokenIssuer, verifyToken } from '../../services/runtime/identity';
import { type Authority, createAuthority } from '../support/authority';
import { type Issuer, person, startIssuer } from '../support/issuer';

const petra = person('petra', 'aats-operator', 'maintainers');

describe('tokens', () => {
  let authority: Authority;
  let issuer: Issuer;
  const unauthenticated = (message: RegExp): object => ({
    type: 'Unauthenticated',
    message: expect.stringMatching(message) as unknown,
  });

  beforeAll(async () => {
    authority = createAuthority();
    issuer = await startIssuer(authority.issue());
  });
  afterAll(async () => {
    await issuer.close();
    authority.remove();
  });
  const identities = () => createIdentities({ jwksUrl: issuer.jwksUrl, ca: authority.ca });

  it('name the person with roles and groups', async () => {
    await expect(identities().fromToken(issuer.token(petra))).resolves.toMatchObject({ kind: 'person', person: petra });
  });

  it.each([
    ['another audience', {}, { audience: 'somebody-else' }],
    ['another issuer', {}, { issuer: 'auth.example.org' }],
    ['an end in the past', {}, { expiresIn: -1 }],
    ['a beginning in the future', {}, { notBefore: 60 }],
    ['another type', { typ: 'refresh' }, {}],
    ['an unknown role', { roles: ['root'] }, {}],
    ['roles that are no list', { roles: 'aats-admin' }, {}],
    ['no groups', { groups: undefined }, {}],
    ['an empty subject', {}, { subject: '' }],
  ])('are refused with %s', async (_case, claims, options) => {
    await expect(identities().fromToken(issuer.token(petra, claims, options))).rejects.toMatchObject({
      type: 'Unauthenticated',
    });
  });

  it.each(['exp', 'iat', 'jti', 'sub', 'aud', 'iss', 'typ', 'roles', 'groups'])('are refused without %s', (claim) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { sub: 'p', jti: 'j', aud: tokenAudience, iss: tokenIssuer, typ: 'access', roles: [], groups: [] };
    const claims = Object.fromEntries(
      Object.entries({ ...all, iat: now, exp: now + 60 }).filter(([name]) => name !== claim),
    );
    const token = sign(claims, issuer.privateKey, { algorithm: 'ES256', noTimestamp: claim === 'iat' });
    expect(() => verifyToken(token, issuer.publicKey)).toThrow(/the token (does not verify|lacks a claim)/);
  });

  it('are refused unsigned, and signed with the public key as if it were a secret', async () => {
    const [, payload = ''] = issuer.token(petra).split('.');
    const header = (alg: string): string =>
      Buffer.from(JSON.stringify({ alg, typ: 'JWT', kid: issuer.kid })).toString('base64url');
    await expect(identities().fromToken(`${header('none')}.${payload}.`)).rejects.toMatchObject(
      unauthenticated(/does not verify/),
    );
    const secret = createSecretKey(Buffer.from(issuer.publicKey.export({ type: 'spki', format: 'pem' })));
    const confused = sign(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object, secret, {
      algorithm: 'HS256',
      keyid: issuer.kid,
    });
    await expect(identities().fromToken(confused)).rejects.toMatchObject(unauthenticated(/does not verify/));
  });

  it('are refused when changed, when signed by another key, and when they are none', async () => {
    const [header = '', payload = '', signature = ''] = issuer.token(petra).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const better = Buffer.from(JSON.stringify({ ...claims, roles: ['aats-admin'] })).toString('base64url');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const foreign = sign(claims, privateKey, { algorithm: 'ES256', keyid: issuer.kid });
    for (const token of [`${header}.${better}.${signature}`, foreign, 'x', 'x.y.z', '..'])
      await expect(identities().fromToken(token)).rejects.toMatchObject({ type: 'Unauthenticated' });
  });

  it('of an unknown key make it ask for the keys at most once in ten seconds', async () => {
    const ours = identities();
    await ours.fromToken(issuer.token(petra));
    const before = issuer.fetches();
    for (let i = 0; i < 5; i++)
      await expect(ours.fromToken(issuer.token(petra, {}, { keyid: `k${i}` }))).rejects.toMatchObject(
        unauthenticated(/unknown key/),
      );
    expect(issuer.fetches() - before).toBe(0);
  });

  it('cannot be checked while the sign-in service is away, which is no verdict on them', async () => {
    const away = createIdentities({ jwksUrl: 'https://localhost:1/jwks.json', ca: authority.ca });
    await expect(away.fromToken(issuer.token(petra))).rejects.toMatchObject({ type: 'StoreUnavailable' });
  });

  it('come after the name of their scheme, in any case', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) expect(bearerOf(`${scheme} a.b.c`)).toBe('a.b.c');
    for (const header of ['a.b.c', 'Bearer', 'Bearer a b', 'Basic YTpi'])
      expect(() => bearerOf(header)).toThrow(expect.objectContaining({ type: 'Unauthenticated' }) as Error);
  });

  it('are not checked with keys from a server of another authority', async () => {
    const other = createAuthority();
    const strangers = createIdentities({ jwksUrl: issuer.jwksUrl, ca: other.ca });
    await expect(strangers.fromToken(issuer.token(petra))).rejects.toMatchObject({ type: 'StoreUnavailable' });
    other.remove();
  });
});

describe('certificates', () => {
  const authority = createAuthority();
  const identities = createIdentities({ jwksUrl: 'https://localhost:1/', ca: authority.ca });
  const callerOf = (...names: readonly string[]) =>
    identities.fromCertificate({ raw: new X509Certificate(authority.issue(...names).cert).raw });
  afterAll(() => {
    authority.remove();
  });

  it('name a service or an agent by their URI', () => {
    expect(callerOf('URI:spiffe://aats/service/hitl')).toEqual({ kind: 'service', name: 'hitl' });
    expect(callerOf('URI:spiffe://aats/agent/echo-1')).toEqual({ kind: 'agent', name: 'echo-1' });
  });

  it.each([
    ['no URI', []],
    ['another trust domain', ['URI:spiffe://elsewhere/service/hitl']],
    ['another kind', ['URI:spiffe://aats/person/petra']],
    ['a name that goes on', ['URI:spiffe://aats/service/hitl/more']],
    ['the name as a host', ['DNS:spiffe']],
  ])('with %s name nobody', (_case, names) => {
    expect(callerOf(...names)).toBeUndefined();
  });

  it('are nobody when there is none', () => {
    expect(identities.fromCertificate(undefined)).toBeUndefined();
  });
});
