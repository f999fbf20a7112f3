import type Router from '@koa/router';
import {
  create,
  type DescMessage,
  type DescService,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  toJson,
} from '@bufbuild/protobuf';
import type { Context } from 'koa';
import { z } from 'zod';
import { failure } from '../../workflows/contracts/failures';
import type { CallContext, Handlers } from './grpc';
import { callerOf, parseBody } from './http';
import type { Identities } from './identity';
import type { RestOperation } from './openapi';
import { authorize } from './roles';

type AnyHandler = (
  request: unknown,
  call: CallContext,
) => Promise<MessageInitShape<DescMessage>> | AsyncIterable<MessageInitShape<DescMessage>>;

/** Adds REST operations that are RPCs: the same handlers, the same table of permissions, ProtoJSON in and out. */
export function addOperations<S extends DescService>(
  router: Router,
  identities: Identities,
  service: S,
  handlers: Handlers<S>,
  operations: readonly RestOperation[],
): void {
  for (const operation of operations.filter((one) => one.service === service)) {
    const desc = service.methods.find(({ name }) => name === operation.rpc);
    const handler = desc && (handlers as unknown as Record<string, AnyHandler>)[desc.localName];
    if (!desc || !handler) throw new Error(`${service.typeName} has no ${operation.rpc}`);
    const path = operation.path.replace(/\{(\w+)\}/g, ':$1');
    const respond = async (ctx: Context): Promise<void> => {
      const caller = await callerOf(ctx, identities);
      const method = `${service.typeName}/${operation.rpc}`;
      authorize(caller, method);
      const gone = new AbortController();
      ctx.req.on('close', () => {
        gone.abort();
      });
      const request = toMessage(desc.input, {
        ...(operation.method === 'post'
          ? await parseBody(ctx, z.record(z.string(), z.json()))
          : queryOf(ctx, desc.input, operation.query ?? [])),
        ...requestOf(ctx, operation),
      });
      const answer = handler(request, { caller, signal: gone.signal, method, surface: 'rest' });
      if (operation.stream) await sendEvents(ctx, answer as AsyncIterable<MessageInitShape<DescMessage>>, desc.output);
      else
        ctx.body = toJson(desc.output, create(desc.output, await (answer as Promise<MessageInitShape<DescMessage>>)), {
          alwaysEmitImplicit: true,
        });
    };
    router[operation.method](path, respond);
  }
}

/** Path parameters; those of an approval's id are its three parts. */
function requestOf(ctx: Context, { path }: RestOperation): Record<string, JsonValue> {
  const parameters = Object.fromEntries(
    [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [
      name,
      String((ctx['params'] as Record<string, string>)[name] ?? ''),
    ]),
  );
  if ('round' in parameters)
    return { approvalId: `${parameters['plan'] ?? ''}/${parameters['task'] ?? ''}/${parameters['round'] ?? ''}` };
  const resumeFrom = ctx.get('last-event-id');
  return { ...parameters, ...(path.endsWith('/watch') && /^\d+$/.test(resumeFrom) && { cursor: resumeFrom }) };
}

function queryOf(ctx: Context, message: DescMessage, allowed: readonly string[]): Record<string, JsonValue> {
  const unknown = Object.keys(ctx.query).filter((name) => !allowed.includes(name));
  if (unknown.length > 0)
    throw failure('InvalidInput', 'the query has unknown parameters', {
      details: unknown.map((name) => ({
        pointer: `?${name}`,
        message: `is unknown; there are ${allowed.join(', ') || 'none'}`,
      })),
    });
  return Object.fromEntries(
    Object.entries(ctx.query).map(([name, value]) => {
      const field = message.fields.find(({ jsonName }) => jsonName === name);
      const texts = Array.isArray(value) ? value : [value ?? ''];
      if (field?.fieldKind === 'list') return [name, texts.flatMap((text) => text.split(','))];
      const [text = ''] = texts;
      const json =
        text === 'true' || text === 'false'
          ? text === 'true'
          : field?.fieldKind === 'scalar' && /^\d+$/.test(text) && name !== 'cursor' && name.endsWith('ize')
            ? Number(text)
            : text;
      return [name, json];
    }),
  );
}

/** ProtoJSON with unknown fields refused. Throws InvalidInput. */
function toMessage(schema: DescMessage, value: Record<string, JsonValue>): unknown {
  try {
    return fromJson(schema, value);
  } catch (error) {
    const message =
      error instanceof Error
        ? error.message.replace(/^cannot decode (field|message) aats\.\w+\.v1\./, '')
        : 'it does not fit';
    throw failure('InvalidInput', 'the request does not fit its schema', { details: [{ pointer: '', message }] });
  }
}

const keepAliveMs = 15_000;

/** Server-sent events: a message each, its cursor as the event's id, so that a browser resumes by itself. */
async function sendEvents(
  ctx: Context,
  answers: AsyncIterable<MessageInitShape<DescMessage>>,
  output: DescMessage,
): Promise<void> {
  const iterator = answers[Symbol.asyncIterator]();
  // The first answer decides between a stream and a problem.
  let next = await iterator.next();
  ctx.respond = false;
  ctx.res.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const alive = setInterval(() => ctx.res.write(': still here\n\n'), keepAliveMs);
  try {
    while (next.done !== true && !ctx.res.destroyed) {
      const json = toJson(output, create(output, next.value), { alwaysEmitImplicit: true }) as Record<
        string,
        Record<string, JsonValue> | undefined
      >;
      const [kind = 'message'] = Object.keys(json);
      const cursor =
        json['change']?.['cursor'] ?? (json['snapshot']?.['plan'] as Record<string, JsonValue> | undefined)?.['cursor'];
      const text = `event: ${kind}\n${cursor === undefined ? '' : `id: ${String(cursor)}\n`}data: ${JSON.stringify(json[kind] ?? json)}\n\n`;
      if (!ctx.res.write(text))
        await new Promise<void>((resolve) => {
          ctx.res.once('drain', resolve);
          ctx.res.once('close', resolve);
        });
      next = await iterator.next();
    }
    ctx.res.end('event: end\ndata: {}\n\n');
  } catch {
    ctx.res.end('event: failed\ndata: {}\n\n'); // the reader comes again with its last id
  } finally {
    clearInterval(alive);
    await iterator.return?.();
  }
}
