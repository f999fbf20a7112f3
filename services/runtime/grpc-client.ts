import {
  create,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { fromGrpcError } from './failure-status';
import { definitionOf } from './grpc-handlers';
import { stalledAfterMs, takesMore } from './slow-reader';

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Default 30 s for single answers, none for streams. */
  readonly timeoutMs?: number;
  /** On behalf of a person: wins over the client's own token. */
  readonly token?: string;
}
type Caller<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : never;
/** A promise for each method; failures are `ServiceFailure`s with the type of the closed table. */
export type GrpcClient<S extends DescService> = { readonly [K in keyof S['method']]: Caller<S['method'][K]> } & {
  close(): void;
};

type Call = Pick<ClientUnaryCall, 'cancel' | 'once'>;

export interface GrpcClientOptions {
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly token?: () => string | undefined;
  readonly surface?: 'web' | 'rest' | 'cli';
}

export function createGrpcClient<S extends DescService>(service: S, options: GrpcClientOptions): GrpcClient<S> {
  const client = new Client(options.address, options.credentials, {
    'grpc.keepalive_time_ms': 120_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 5_000,
  });
  const prepare = ({ signal, timeoutMs, token = options.token?.() }: CallOptions, streams: boolean) => {
    const metadata = new Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    if (options.surface) metadata.set('aats-surface', options.surface);
    const limit = timeoutMs ?? (streams ? undefined : 30_000);
    return { metadata, callOptions: limit === undefined ? {} : { deadline: Date.now() + limit }, signal };
  };
  const follow = (signal: AbortSignal | undefined, call: Call): void => {
    if (!signal) return;
    const stop = (): void => {
      call.cancel();
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    // A signal outlives its calls: what has ended is not followed any more.
    call.once('status', () => {
      signal.removeEventListener('abort', stop);
    });
  };
  const methods = service.methods.map((method) => {
    const { path, requestSerialize, responseDeserialize } = definitionOf(method);
    const settle =
      (resolve: (value: unknown) => void, reject: (error: Error) => void) =>
      (error: ServiceError | null, response?: unknown): void => {
        if (error) reject(fromGrpcError(error));
        else resolve(response);
      };
    const unary = (request: MessageInitShape<typeof method.input>, callOptions: CallOptions = {}): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const { metadata, callOptions: grpcOptions, signal } = prepare(callOptions, false);
        follow(
          signal,
          client.makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            create(method.input, request),
            metadata,
            grpcOptions,
            settle(resolve, reject),
          ),
        );
      });
    const serverStream = (
      request: MessageInitShape<typeof method.input>,
      callOptions: CallOptions = {},
    ): AsyncIterable<unknown> => {
      const { metadata, callOptions: grpcOptions, signal } = prepare(callOptions, true);
      return readAll(() => {
        const stream = client.makeServerStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          create(method.input, request),
          metadata,
          grpcOptions,
        );
        follow(signal, stream);
        return stream;
      });
    };
    const clientStream = (
      requests: AsyncIterable<MessageInitShape<typeof method.input>>,
      callOptions: CallOptions = {},
    ): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const { metadata, callOptions: grpcOptions, signal } = prepare(callOptions, true);
        const stream = client.makeClientStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          metadata,
          grpcOptions,
          settle(resolve, reject),
        );
        follow(signal, stream);
        const answered = new AbortController();
        stream.once('status', () => {
          answered.abort();
        });
        (async () => {
          for await (const request of requests) {
            // The service may have answered before it had everything.
            if (answered.signal.aborted || stream.destroyed) return;
            if (!stream.write(create(method.input, request))) await takesMore(stream, stalledAfterMs);
          }
          stream.end();
        })().catch((error: unknown) => {
          stream.cancel();
          reject(error instanceof Error ? error : new Error(String(error)));
        });
      });
    return [
      method.localName,
      { unary, server_streaming: serverStream, client_streaming: clientStream, bidi_streaming: unary }[
        method.methodKind
      ],
    ] as const;
  });
  return {
    ...Object.fromEntries(methods),
    close: () => {
      client.close();
    },
  } as unknown as GrpcClient<S>;
}

/** The call begins with the first read and is cancelled when the reader leaves. */
async function* readAll(start: () => ClientReadableStream<unknown>): AsyncGenerator {
  const stream = start();
  try {
    for await (const message of stream) yield message;
  } catch (error) {
    throw fromGrpcError(error as ServiceError);
  } finally {
    stream.cancel();
  }
}
