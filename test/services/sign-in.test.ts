import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import type { Pool } from 'pg';
import { createPeopleStore, savePerson } from '../../activities/stores/people-store';
import { createPostgres, postgresConfig } from '../../activities/stores/postgres';
import { createRedis, redisConfig, type RedisCluster } from '../../activities/stores/redis';
import { createSignIn, hashPassword, type SignIn } from '../../services/hitl/sign-in/sign-in';
import { createTokenIssuer } from '../../services/hitl/sign-in/tokens';
import { loadConfig } from '../../services/runtime/config';
import { verifyToken } from '../../services/runtime/identity';
import { identityEnvironment } from '../support/stack';

const name = `mira-${randomUUID().slice(0, 8)}`;
const from = `test-${randomUUID()}`;
const totpSecret = new Secret({ size: 20 }).base32;
const factorKey = randomUUID();
const signingKey = String(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
);
const code = (stepsOn = 0): string =>
  new TOTP({ secret: Secret.fromBase32(totpSecret), digits: 6, period: 30, algorithm: 'SHA1' }).generate({
    timestamp: Date.now() + stepsOn * 30_000,
  });

let admin: Pool;
let pool: Pool;
let redis: RedisCluster;
let signIn: SignIn;
beforeAll(async () => {
  admin = createPostgres(loadConfig(postgresConfig, { ...identityEnvironment('admin') }), 1);
  const client = await admin.connect();
  try {
    await savePerson(
      client,
      {
        name,
        displayName: 'Mira',
        passwordHash: await hashPassword('a quiet password'),
        totpSecret,
        roles: ['aats-operator'],
        groups: ['maintainers'],
      },
      factorKey,
    );
  } finally {
    client.release();
  }
  const env = { ...identityEnvironment('hitl') };
  pool = createPostgres(loadConfig(postgresConfig, env));
  redis = createRedis(loadConfig(redisConfig, env));
  signIn = createSignIn(createPeopleStore(pool, factorKey), createTokenIssuer(redis, signingKey), redis);
});
afterAll(async () => {
  await admin.query('delete from people.person where name = $1', [name]);
  await Promise.all([admin.end(), pool.end()]);
  redis.disconnect();
});
// Each test signs in with a code of its own: the person has used none yet.
beforeEach(() => admin.query('update people.person set totp_last_step = 0 where name = $1', [name]));

const session = async () => signIn.complete((await signIn.begin(name, 'a quiet password', from)).challenge, code());

// A store's first answers may take long on a busy machine.
jest.setTimeout(90_000);

describe('signing in', () => {
  it('takes a password and a code, and gives a token that says who it is for half an hour', async () => {
    const tokens = await session();
    expect(tokens.expiresIn).toBe(1800);
    expect(Math.round(tokens.refreshExpiresIn / 60)).toBe(8 * 60);
    const key = createPublicKey(createPrivateKey(signingKey).export({ type: 'pkcs8', format: 'pem' }));
    expect(verifyToken(tokens.accessToken, key).person).toEqual({
      name,
      roles: ['aats-operator'],
      groups: ['maintainers'],
    });
  });

  it('says the same about a name that is unknown and a password that is wrong', async () => {
    const words = 'name, password or code is wrong';
    await expect(signIn.begin(`nobody-${name}`, 'a quiet password', from)).rejects.toThrow(words);
    await expect(signIn.begin(name, 'another password', from)).rejects.toThrow(words);
  });

  it('counts a code once, however many use it at the same time', async () => {
    const challenges = await Promise.all([1, 2, 3].map(() => signIn.begin(name, 'a quiet password', from)));
    const answers = await Promise.allSettled(challenges.map(({ challenge }) => signIn.complete(challenge, code())));
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  it('ends a sign-in after five wrong codes', async () => {
    const { challenge } = await signIn.begin(name, 'a quiet password', from);
    for (let tries = 0; tries < 5; tries++)
      await expect(signIn.complete(challenge, 'abcdef')).rejects.toThrow('is wrong');
    await expect(signIn.complete(challenge, code())).rejects.toThrow('too many wrong codes');
    await expect(signIn.complete(challenge, code())).rejects.toThrow('begin again');
  });

  it('stops counting tries for a name after ten in a quarter of an hour', async () => {
    const other = `guessed-${name}`;
    for (let tries = 0; tries < 10; tries++)
      await expect(signIn.begin(other, 'guess', from)).rejects.toThrow('is wrong');
    await expect(signIn.begin(other, 'guess', from)).rejects.toThrow('too many tries');
    expect(await redis.ttl(`limit:name:${other}`)).toBeGreaterThan(14 * 60);
  });

  it('locks nobody out for good with a count that has lost its end', async () => {
    const counts = [`limit:name:${name}`, `limit:address:${from}`];
    for (const key of counts) await redis.set(key, 1000);
    await expect(session()).resolves.toMatchObject({ expiresIn: 1800 });
    expect(await redis.ttl(`limit:address:${from}`)).toBeGreaterThan(14 * 60);
  });
});

describe('a session', () => {
  it('goes on with the newest refresh token, within its eight hours', async () => {
    const first = await session();
    const second = await signIn.refresh(first.refreshToken);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    expect(second.refreshExpiresIn).toBeLessThanOrEqual(first.refreshExpiresIn);
    await expect(signIn.refresh(second.refreshToken)).resolves.toMatchObject({ expiresIn: 1800 });
  });

  it('ends for both who hold it when an old refresh token is used again', async () => {
    const first = await session();
    const second = await signIn.refresh(first.refreshToken);
    await expect(signIn.refresh(first.refreshToken)).rejects.toThrow('used again');
    await expect(signIn.refresh(second.refreshToken)).rejects.toThrow('the session has ended');
  });

  it('lets one of two uses at once count at most, and ends', async () => {
    const { refreshToken } = await session();
    const answers = await Promise.allSettled([signIn.refresh(refreshToken), signIn.refresh(refreshToken)]);
    expect(answers.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
    await expect(signIn.refresh(refreshToken)).rejects.toThrow('ended');
  });

  it('ends with signing out', async () => {
    const { refreshToken } = await session();
    await signIn.signOut(refreshToken);
    await expect(signIn.refresh(refreshToken)).rejects.toThrow('the session has ended');
  });

  it('keeps no second factor in the clear', async () => {
    const { rows } = await admin.query<{ totp_secret: Buffer }>(
      'select totp_secret from people.person where name = $1',
      [name],
    );
    expect(rows[0]?.totp_secret.toString('latin1')).not.toContain(totpSecret);
  });
});
