import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { MethodDefinition } from '@grpc/grpc-js';
import type { Caller } from './identity';

/** What a handler knows of its call. */
export interface CallContext {
  readonly caller: Caller;
  /** Aborted when the caller is gone or its deadline has passed. */
  readonly signal: AbortSignal;
  /** `<service>/<method>`, the key of the table of permissions. */
  readonly method: string;
  readonly surface: 'grpc' | 'rest' | 'web' | 'cli';
}
type Handler<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, call: CallContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, call: CallContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, call: CallContext) => Promise<MessageInitShape<O>>
        : never;
/** One handler for each method of a service. */
export type Handlers<S extends DescService> = { readonly [K in keyof S['method']]: Handler<S['method'][K]> };

export interface Implemented {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, (...args: never[]) => unknown>>;
}
export const implement = <S extends DescService>(service: S, handlers: Handlers<S>): Implemented => ({
  service,
  handlers,
});

/** The definition that grpc-js needs of a client, from the descriptor: no generated stubs. */
export function definitionOf(method: DescMethod): MethodDefinition<unknown, unknown> {
  const [serializeRequest, deserializeRequest] = codec(method.input);
  const [serializeResponse, deserializeResponse] = codec(method.output);
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: serializeRequest,
    requestDeserialize: deserializeRequest,
    responseSerialize: serializeResponse,
    responseDeserialize: deserializeResponse,
  };
}
function codec(schema: DescMessage): [(value: unknown) => Buffer, (bytes: Buffer) => unknown] {
  return [
    (value) => Buffer.from(toBinary(schema, create(schema, value as MessageInitShape<DescMessage>))),
    (bytes) => fromBinary(schema, bytes),
  ];
}

/**
 * The same for a server, which gets requests as bytes: grpc-js would answer INTERNAL to those that do not decode, though
 * it is their sender's fault. `readRequest` decodes them.
 */
export const serverDefinitionOf = (method: DescMethod): MethodDefinition<unknown, unknown> => ({
  ...definitionOf(method),
  requestDeserialize: (bytes) => bytes,
});
