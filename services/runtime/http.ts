import { createServer, type Server } from 'node:https';
import { TLSSocket } from 'node:tls';
import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import { z } from 'zod';
import { failure } from '../../workflows/contracts/failures';
import { toEdgeFailure, toProblem } from './failure-status';
import type { Health } from './health';
import { bearerOf, type Caller, type Identities, nameOf } from './identity';
import { inCall, type Logger, note } from './logger';
import type { Metrics } from './metrics';
import { authorize } from './roles';
import { httpsOptions, type TlsMaterial } from './tls';

export interface RestOptions {
  readonly identities: Identities;
  readonly logger: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
  /** OpenAPI 3.1, served at `/openapi.json`. */
  readonly openapi?: object;
}

/**
 * The REST side of a service: errors as RFC 9457, one log line a request, `/health` (the process lives),
 * `/health/ready` (its dependencies answer; who may read health sees which), `/metrics` and `/openapi.json`.
 */
export function createRestApp(options: RestOptions): { readonly app: Koa; readonly router: Router } {
  const app = new Koa();
  app.on('error', () => undefined); // answered and logged by the middleware; sockets that break are nobody's fault
  app.use(requestLog(options.logger, options.metrics));
  app.use(problems(options.logger));
  app.use((ctx, next) => {
    // Answers depend on who asks, and none is a page.
    ctx.set({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    return next();
  });
  const router = new Router();
  router.get('/health', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/health/ready', async (ctx) => {
    const dependencies = await options.health.check();
    const ready = dependencies.every(({ healthy }) => healthy);
    ctx.status = ready ? 200 : 503;
    const details = await callerOf(ctx, options.identities)
      .then((caller) => {
        authorize(caller, 'http/health');
        return true;
      })
      .catch(() => false);
    ctx.body = { status: ready ? 'ok' : 'unavailable', ...(details && { dependencies }) };
  });
  router.get('/metrics', async (ctx) => {
    authorize(await callerOf(ctx, options.identities), 'http/metrics');
    ctx.type = options.metrics.registry.contentType;
    ctx.body = await options.metrics.registry.metrics();
  });
  const { openapi } = options;
  if (openapi)
    router.get('/openapi.json', (ctx) => {
      ctx.body = openapi;
    });
  app.use(router.routes());
  app.use((ctx) => {
    const matched = ctx['matched'] as readonly { readonly methods: readonly string[] }[] | undefined;
    const allowed = new Set(matched?.flatMap(({ methods }) => methods));
    if (allowed.size > 0) ctx.set('allow', [...allowed].join(', '));
    if (allowed.size > 0 && ctx.method === 'OPTIONS') {
      ctx.status = 204;
      return;
    }
    throw Object.assign(failure('InvalidInput', `there is nothing at ${ctx.method} ${ctx.path}`), {
      httpStatus: allowed.size > 0 ? 405 : 404,
    });
  });
  return { app, router };
}

/** The caller of a request, by token or else by certificate, who is also put on record. Throws Unauthenticated. */
export async function callerOf(ctx: Context, identities: Identities): Promise<Caller> {
  const caller = await identify(ctx, identities);
  note({ caller: nameOf(caller) });
  return caller;
}

async function identify(ctx: Context, identities: Identities): Promise<Caller> {
  const authorization = ctx.get('authorization');
  if (authorization !== '') return identities.fromToken(bearerOf(authorization));
  const { socket } = ctx;
  const certificate = socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate() : undefined;
  const caller =
    certificate === undefined || !('raw' in certificate) ? undefined : identities.fromCertificate(certificate);
  if (!caller) throw failure('Unauthenticated', 'a client certificate of ours or a bearer token is needed');
  return caller;
}

const bodyLimit = 2 * 1024 * 1024;

/** The JSON body, checked; every problem listed, unknown fields refused by strict schemas. Throws InvalidInput. */
export const parseBody = async <S extends z.ZodType>(ctx: Context, schema: S): Promise<z.output<S>> =>
  checked(schema, await readBody(ctx));

/** The JSON body, of whatever kind. Throws InvalidInput, and TooLarge before more is read than a body may have. */
export async function readBody(ctx: Context): Promise<unknown> {
  if (!ctx.is('json')) throw failure('InvalidInput', 'the body must be application/json');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of ctx.req) {
    size += (chunk as Buffer).length;
    if (size > bodyLimit) throw failure('TooLarge', `the body is larger than ${bodyLimit} bytes`);
    chunks.push(chunk as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    throw failure('InvalidInput', 'the body is not JSON');
  }
}

/** A value checked against its schema; throws InvalidInput with a problem for each thing that is wrong. */
export function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const details = parsed.error.issues.map(({ path, message }) => ({
    pointer: path.map((part) => `/${String(part)}`).join(''),
    message,
  }));
  throw failure(
    'InvalidInput',
    `${details.length} ${details.length === 1 ? 'thing is' : 'things are'} wrong with the request`,
    { details },
  );
}

function problems(logger: Logger): Koa.Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const edge = toEdgeFailure(error, (id, cause) => {
        logger.error({ id, err: cause, path: ctx.path }, 'unexpected failure');
      });
      const problem = toProblem(edge, ctx.path);
      const override =
        error instanceof Error && 'httpStatus' in error && typeof error.httpStatus === 'number'
          ? error.httpStatus
          : problem.status;
      if (ctx.headerSent) {
        ctx.res.destroy(); // a stream that broke midway must not look whole
        return;
      }
      ctx.status = override;
      if (override === 401) ctx.set('www-authenticate', 'Bearer');
      ctx.type = 'application/problem+json';
      ctx.body = JSON.stringify({ ...problem, status: override });
    }
  };
}

function requestLog(logger: Logger, metrics: Metrics): Koa.Middleware {
  const answer: Koa.Middleware = async (ctx, next) => {
    const begun = process.hrtime.bigint();
    await next();
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
    const route = ctx['_matchedRoute'] as string | undefined;
    metrics.observe(`${ctx.method} ${route ?? 'none'}`, String(ctx.status), seconds);
    if (ctx.path !== '/health' && ctx.path !== '/health/ready')
      logger.info(
        { method: ctx.method, path: ctx.path, status: ctx.status, ms: Math.round(seconds * 1000) },
        'request',
      );
  };
  return async (ctx, next) => {
    await inCall(ctx.get('traceparent'), async () => {
      await answer(ctx, next);
    });
  };
}

const idleLookMs = 50;

/** Serves over TLS 1.3 on loopback; resolves when it listens. */
export function startHttpsServer(options: {
  readonly tls: TlsMaterial;
  readonly port: number;
  readonly app: Koa;
}): Promise<{ readonly port: number; close(graceSeconds: number): Promise<void> }> {
  const handler = options.app.callback();
  const server: Server = createServer(
    httpsOptions(options.tls),
    (request, response) => void handler(request, response),
  );
  server.keepAliveTimeout = 300_000; // specification, Connections, IdleTimeout
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', () => {
      const bound = server.address();
      resolve({
        port: typeof bound === 'object' && bound ? bound.port : options.port,
        close: (graceSeconds) =>
          new Promise((done) => {
            const hard = setTimeout(() => {
              server.closeAllConnections();
            }, graceSeconds * 1000);
            // Those that are answered meanwhile would be kept alive for their next request.
            const idle = setInterval(() => {
              server.closeIdleConnections();
            }, idleLookMs);
            server.close(() => {
              clearTimeout(hard);
              clearInterval(idle);
              done();
            });
          }),
      });
    });
  });
}
