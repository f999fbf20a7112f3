import type Router from '@koa/router';
import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  ScalarType,
  toJson,
} from '@bufbuild/protobuf';
import type { Context } from 'koa';
import { z } from 'zod';
import { failure } from '../../workflows/contracts/failures';
import { toEdgeFailure, toProblem } from './failure-status';
import type { CallContext, Handlers } from './grpc-handlers';
import { callerOf, parseBody } from './http';
import type { Identities } from './identity';
import type { Logger } from './logger';
import { fieldsOfPath, pathParameters, type RestOperation } from './openapi';
import { authorize } from './roles';
import { sendEvents, type ServerSentEvent } from './server-sent-events';

type Answer = MessageInitShape<DescMessage>;
type AnyHandler = (request: unknown, call: CallContext) => Promise<Answer> | AsyncIterable<Answer>;

export interface RestSurroundings {
  readonly router: Router;
  readonly identities: Identities;
  readonly logger: Logger;
}

/** Adds REST operations that are RPCs: the same handlers, the same table of permissions, ProtoJSON in and out. */
export function addOperations<S extends DescService>(
  { router, identities, logger }: RestSurroundings,
  service: S,
  handlers: Handlers<S>,
  operations: readonly RestOperation[],
): void {
  for (const operation of operations.filter((one) => one.service === service)) {
    const desc = service.methods.find(({ name }) => name === operation.rpc);
    const handler = desc && (handlers as unknown as Record<string, AnyHandler>)[desc.localName];
    if (!desc || !handler) throw new Error(`${service.typeName} has no ${operation.rpc}`);
    const method = `${service.typeName}/${operation.rpc}`;
    router[operation.method](operation.path.replace(/\{(\w+)\}/g, ':$1'), async (ctx) => {
      const caller = await callerOf(ctx, identities);
      authorize(caller, method);
      const request = await requestOf(ctx, operation, desc);
      const gone = new AbortController();
      // Not of the request: that one closes as soon as its body is read.
      ctx.res.once('close', () => {
        gone.abort();
      });
      const answer = handler(request, { caller, signal: gone.signal, method, surface: 'rest' });
      if (operation.stream !== true) ctx.body = json(desc.output, await (answer as Promise<Answer>));
      else
        await sendEvents(ctx, eventsOf(desc.output, answer as AsyncIterable<Answer>), (error) => {
          const edge = toEdgeFailure(error, (id, cause) => {
            logger.error({ id, err: cause, path: ctx.path }, 'unexpected failure');
          });
          return toProblem(edge, ctx.path);
        });
    });
  }
}

const json = (schema: DescMessage, answer: Answer): object =>
  toJson(schema, create(schema, answer), { alwaysEmitImplicit: true }) as object;

/** Path, query or body, and for a stream where its reader stopped, as the message of the RPC. Throws InvalidInput. */
async function requestOf(ctx: Context, operation: RestOperation, { input }: DescMethod): Promise<unknown> {
  const { method, path, query = [], stream } = operation;
  const sent = method === 'post' ? await parseBody(ctx, z.record(z.string(), z.json())) : queryOf(ctx, input, query);
  for (const field of fieldsOfPath(path))
    if (field in sent) throw failure('InvalidInput', `${field} is in the path; leave it out of the rest`);
  const resumeFrom = ctx.get('last-event-id');
  const value = {
    ...sent,
    ...(stream === true && /^\d+$/.test(resumeFrom) && { cursor: resumeFrom }),
    ...fromPath(ctx, path),
  };
  try {
    return fromJson(input, value); // refuses unknown fields
  } catch (error) {
    const message =
      error instanceof Error
        ? error.message.replace(/^cannot decode (field|message) aats\.\w+\.v1\./, '')
        : 'it does not fit';
    throw failure('InvalidInput', 'the request does not fit its schema', { details: [{ pointer: '', message }] });
  }
}

/** What the path says of the request; the id of an approval is its last three parts, since it holds slashes. */
function fromPath(ctx: Context, path: string): Record<string, string> {
  const given = ctx['params'] as Readonly<Record<string, string>>;
  const values = pathParameters(path).map((name) => given[name] ?? '');
  const fields = fieldsOfPath(path);
  return fields.length === values.length
    ? Object.fromEntries(fields.map((field, at) => [field, values[at] ?? '']))
    : Object.fromEntries(fields.map((field) => [field, values.join('/')]));
}

/** Query parameters as ProtoJSON, by the types of the message's fields; unknown ones are refused. */
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
      const fieldValue: JsonValue =
        field?.fieldKind === 'list' ? texts.flatMap((text) => text.split(',')) : scalarOf(field, texts.at(-1) ?? '');
      return [name, fieldValue];
    }),
  );
}

const scalarOf = (field: DescField | undefined, text: string): JsonValue =>
  field?.scalar === ScalarType.BOOL && (text === 'true' || text === 'false') ? text === 'true' : text;

/** Each message by the name of what it holds; its cursor is the event's id, so that a browser resumes by itself. */
async function* eventsOf(output: DescMessage, answers: AsyncIterable<Answer>): AsyncGenerator<ServerSentEvent> {
  for await (const answer of answers) {
    const value = json(output, answer) as Record<string, { cursor?: string; plan?: { cursor?: string } } | undefined>;
    const [event = 'message'] = Object.keys(value);
    const cursor = value['change']?.cursor ?? value['snapshot']?.plan?.cursor;
    yield { event, ...(cursor !== undefined && { id: cursor }), data: value[event] ?? {} };
  }
}
