import type Router from '@koa/router';
import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  type JsonValue,
  type Message,
  type MessageInitShape,
  ScalarType,
  toJson,
} from '@bufbuild/protobuf';
import type { Context } from 'koa';
import { failure } from '../../workflows/contracts/failures';
import { toEdgeFailure, toProblem } from './failure-status';
import type { CallContext, Handlers } from './grpc-handlers';
import { callerOf, readBody } from './http';
import type { Identities } from './identity';
import { type Logger, notePlan } from './logger';
import { fieldsOfPath, type JsonRecord, pathParameters, type RestOperation } from './openapi';
import { whileWaitedFor } from './patience';
import { readJsonRequest } from './request-json';
import { authorize } from './roles';
import { sendEvents, type ServerSentEvent } from './server-sent-events';
import { stalledAfterMs } from './slow-reader';

type Answer = MessageInitShape<DescMessage>;
type AnyHandler = (request: unknown, call: CallContext) => Promise<Answer> | AsyncIterable<Answer>;

export interface RestSurroundings {
  readonly router: Router;
  readonly identities: Identities;
  readonly logger: Logger;
  /** A reader of a stream that takes nothing for so long is cut off; default 30 s. */
  readonly stalledAfterMs?: number;
}

/** Adds REST operations that are RPCs: the same handlers, the same table of permissions, ProtoJSON in and out. */
export function addOperations<S extends DescService>(
  { router, identities, logger, stalledAfterMs: patienceMs = stalledAfterMs }: RestSurroundings,
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
      notePlan(request);
      const gone = new AbortController();
      // Not of the request: that one closes as soon as its body is read.
      ctx.res.once('close', () => {
        gone.abort();
      });
      const answer = (signal: AbortSignal) => handler(request, { caller, signal, method, surface: 'rest' });
      if (operation.stream !== true)
        ctx.body = json(desc.output, await whileWaitedFor(gone.signal, (signal) => answer(signal) as Promise<Answer>));
      else
        await sendEvents(
          ctx,
          eventsOf(desc.output, answer(gone.signal) as AsyncIterable<Answer>),
          (error) => {
            const edge = toEdgeFailure(error, (id, cause) => {
              logger.error({ id, err: cause, path: ctx.path }, 'unexpected failure');
            });
            return toProblem(edge, ctx.path);
          },
          patienceMs,
        );
    });
  }
}

const json = (schema: DescMessage, answer: Answer): object =>
  toJson(schema, create(schema, answer), { alwaysEmitImplicit: true }) as object;

/** Path, query or body, and for a stream where its reader stopped, as the message of the RPC. Throws InvalidInput. */
async function requestOf(ctx: Context, operation: RestOperation, { input }: DescMethod): Promise<Message> {
  const { method, path, query = [], stream, prepare = (body: JsonRecord) => body } = operation;
  const isQuery = method === 'get';
  const sent = isQuery ? queryOf(ctx, input) : prepare(await bodyOf(ctx));
  const inPath = fieldsOfPath(path);
  const found = Object.keys(sent).flatMap((name) => {
    if (inPath.includes(name)) return [{ pointer: `/${name}`, message: 'is in the path; leave it out of the rest' }];
    return isQuery && !query.includes(name)
      ? [{ pointer: `/${name}`, message: `is unknown; there are ${query.join(', ') || 'none'}` }]
      : [];
  });
  const wrong = new Set(found.map(({ pointer }) => pointer.slice(1)));
  const resumeFrom = ctx.get('last-event-id');
  const value = {
    ...Object.fromEntries(Object.entries(sent).filter(([name]) => !wrong.has(name))),
    ...(stream === true && /^\d+$/.test(resumeFrom) && { cursor: resumeFrom }),
    ...fromPath(ctx, path),
  };
  return readJsonRequest(input, value, found);
}

/** The body of a request that has one; what needs nothing more said may leave it out. */
async function bodyOf(ctx: Context): Promise<JsonRecord> {
  if (['', '0'].includes(ctx.get('content-length')) && ctx.get('transfer-encoding') === '') return {};
  const body = await readBody(ctx);
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw failure('InvalidInput', 'the body must be a JSON object');
  return body as JsonRecord;
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

/** Query parameters as ProtoJSON, by the types of the message's fields. */
function queryOf(ctx: Context, message: DescMessage): Record<string, JsonValue> {
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
