import { request as requestHttps } from 'node:https';
import { pino } from 'pino';
import { z } from 'zod';
import { createHealth } from '../../services/runtime/health';
import { createRestApp, parseBody, startHttpsServer } from '../../services/runtime/http';
import { createIdentities } from '../../services/runtime/identity';
import { createMetrics } from '../../services/runtime/metrics';
import type { TlsMaterial } from '../../services/runtime/tls';
import { type Authority, createAuthority } from '../support/authority';
import { type Issuer, person, startIssuer } from '../support/issuer';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

describe('REST', () => {
  let authority: Authority;
  let issuer: Issuer;
  let service: TlsMaterial;
  let port = 0;
  let isHealthy = true;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    authority = createAuthority();
    service = authority.issue('URI:spiffe://aats/service/one');
    issuer = await startIssuer(authority.issue());
    const { app, router } = createRestApp({
      identities: createIdentities({ jwksUrl: issuer.jwksUrl, ca: authority.ca }),
      logger: pino({ level: 'silent' }),
      health: createHealth(
        {
          quick: () => (isHealthy ? Promise.resolve() : Promise.reject(new Error('is away\nand this says where'))),
          slow: () => (isHealthy ? Promise.resolve() : new Promise(() => undefined)),
        },
        50,
      ),
      metrics: createMetrics('test'),
    });
    router.post('/things', async (ctx) => {
      ctx.body = await parseBody(ctx, z.strictObject({ name: z.string(), size: z.number().max(9) }));
    });
    router.get('/bug', () => {
      throw new Error('password=hunter2');
    });
    const server = await startHttpsServer({ tls: authority.issue(), port: 0, app });
    port = server.port;
    closers.push(
      () => server.close(0),
      () => issuer.close(),
    );
  });
  afterAll(async () => {
    for (const close of closers) await close();
    authority.remove();
  });

  const call = (
    method: string,
    path: string,
    options: { readonly headers?: object; readonly body?: string; readonly tls?: Partial<TlsMaterial> } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { headers = {}, body, tls = { ca: authority.ca } } = options;
      const settings = { ...tls, ca: authority.ca, method, headers: { ...headers }, agent: false };
      requestHttps(`https://localhost:${port}${path}`, settings, (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (part: string) => (text += part));
        incoming.on('end', () => {
          const { statusCode: status = 0, headers: all } = incoming;
          resolve({ status, headers: all, type: all['content-type'] ?? '', text });
        });
      })
        .on('error', reject)
        .end(body);
    });
  const post = (body: string, type = 'application/json') =>
    call('POST', '/things', { body, headers: { 'content-type': type } });

  it('lists everything that is wrong with a body', async () => {
    expect(await post('{"name":"a","size":3}')).toMatchObject({ status: 200 });
    const { status, type, text } = await post('{"size":10,"colour":"red"}');
    expect({ status, type }).toEqual({ status: 400, type: 'application/problem+json' });
    const problem = JSON.parse(text) as { problems: { pointer: string }[] };
    expect(problem).toMatchObject({ type: 'urn:aats:failure:InvalidInput', status: 400, instance: '/things' });
    expect(problem.problems.map(({ pointer }) => pointer).sort()).toEqual(['', '/name', '/size']);
  });

  it('refuses what is no JSON, says that it is something else, or is too large', async () => {
    expect((await post('{')).status).toBe(400);
    expect((await post('name=a', 'application/x-www-form-urlencoded')).status).toBe(400);
    expect((await post(JSON.stringify({ name: 'x'.repeat(2_200_000), size: 1 }))).status).toBe(413);
  });

  it('answers problems for what is not there and for its own faults, telling nothing of them', async () => {
    expect(await call('GET', '/nowhere')).toMatchObject({ status: 404, type: 'application/problem+json' });
    expect(await call('DELETE', '/things')).toMatchObject({
      status: 405,
      type: 'application/problem+json',
      headers: { allow: 'POST' },
    });
    expect(await call('OPTIONS', '/things')).toMatchObject({ status: 204, headers: { allow: 'POST' } });
    const { status, text } = await call('GET', '/bug');
    expect(status).toBe(500);
    expect(text).not.toContain('hunter2');
  });

  it('tells browsers to keep nothing and guess nothing', async () => {
    expect((await call('GET', '/health')).headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
  });

  it('lives although a dependency is away, is not ready, and tells only readers of health which', async () => {
    isHealthy = false;
    expect((await call('GET', '/health')).status).toBe(200);
    const anyone = await call('GET', '/health/ready');
    expect([anyone.status, JSON.parse(anyone.text)]).toEqual([503, { status: 'unavailable' }]);
    const token = issuer.token(person('vera', 'aats-viewer'));
    const { text } = await call('GET', '/health/ready', { headers: { authorization: `Bearer ${token}` } });
    expect(JSON.parse(text)).toMatchObject({
      dependencies: [
        { name: 'quick', healthy: false, problem: 'is away' },
        { name: 'slow', healthy: false, problem: 'no answer within 50 ms' },
      ],
    });
    isHealthy = true;
    expect((await call('GET', '/health/ready')).status).toBe(200);
  });

  it('gives figures to services and readers of metrics only', async () => {
    expect((await call('GET', '/metrics', { tls: service })).text).toContain('aats_call_seconds_bucket');
    expect(await call('GET', '/metrics')).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
    expect((await call('GET', '/metrics', { tls: authority.issue('URI:spiffe://aats/agent/a') })).status).toBe(403);
    expect((await call('GET', '/metrics', { headers: { authorization: 'Basic YTpi' } })).status).toBe(401);
  });

  it('takes a certificate of another authority with our name in it for nobody', async () => {
    const other = createAuthority();
    expect((await call('GET', '/metrics', { tls: other.issue('URI:spiffe://aats/service/one') })).status).toBe(401);
    other.remove();
  });
});
