import {
  create,
  type DescFile,
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
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import {
  type MethodDefinition,
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
  type sendUnaryData,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { failure } from '../../workflows/contracts/failures';
import { toEdgeFailure, toGrpcStatus } from './failure-status';
import type { Caller, Identities } from './identity';
import type { Logger } from './logger';
import { authorize } from './roles';
import { Tls13ServerCredentials, type TlsMaterial } from './tls';

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

/** The definition that grpc-js needs, from the descriptor: no generated stubs. */
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

export interface GrpcServerOptions {
  readonly tls: TlsMaterial;
  readonly port: number;
  readonly requireClientCertificate: boolean;
  readonly identities: Identities;
  readonly services: readonly Implemented[];
  readonly logger: Logger;
  readonly observe?: (method: string, code: string, seconds: number) => void;
  /** Default 4 MiB. */
  readonly maxMessageBytes?: number;
}
export interface RunningGrpcServer {
  readonly port: number;
  /** Refuses new calls, lets running ones end, and after `graceSeconds` ends them. */
  drain(graceSeconds: number): Promise<void>;
}

/** Starts a server on loopback-or-all addresses of this host with health and reflection beside its services. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<RunningGrpcServer> {
  const { tls, services, logger } = options;
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageBytes ?? 4 * 1024 * 1024,
    // Specification, Connections: keep-alive 120 s, a dead peer is seen within 20 s of it; idle ones go after 300 s.
    'grpc.keepalive_time_ms': 120_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.max_connection_idle_ms': 300_000,
  });
  for (const { service, handlers } of services) {
    const definition: Record<string, MethodDefinition<unknown, unknown>> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const method of service.methods) {
      definition[method.name] = definitionOf(method);
      const handler = handlers[method.localName];
      if (!handler) throw new Error(`${service.typeName}/${method.name} has no handler`);
      implementation[method.name] = adapt(method, handler as (...args: unknown[]) => unknown, options);
    }
    server.addService(definition, implementation);
  }
  const health = new HealthImplementation({
    '': 'SERVING',
    ...Object.fromEntries(services.map(({ service }) => [service.typeName, 'SERVING' as const])),
  });
  health.addToServer(server);
  addReflection(server, services, options);
  const port = await bind(server, options.port, new Tls13ServerCredentials(tls, options));
  return {
    port,
    drain: (graceSeconds) =>
      new Promise((resolve) => {
        health.setStatus('', 'NOT_SERVING');
        const hard = setTimeout(() => {
          server.forceShutdown();
        }, graceSeconds * 1000);
        server.tryShutdown((error) => {
          clearTimeout(hard);
          if (error) logger.warn({ err: error }, 'the gRPC server did not drain in time');
          resolve();
        });
      }),
  };
}

// 50060 to 50062 lie in the range of outgoing connections: one of those may hold the port for a moment.
async function bind(server: Server, port: number, credentials: Tls13ServerCredentials): Promise<number> {
  const ends = Date.now() + 5000;
  for (;;) {
    try {
      return await new Promise<number>((resolve, reject) => {
        server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) => {
          if (error) reject(error);
          else resolve(bound);
        });
      });
    } catch (error) {
      if (Date.now() > ends) throw new Error(`port ${port} is taken`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

type AnyCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerReadableStream<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerDuplexStream<unknown, unknown>;

async function identify(call: AnyCall, identities: Identities): Promise<Caller> {
  const certificate = call.getAuthContext().sslPeerCertificate;
  const [authorization] = call.metadata.get('authorization');
  // A person's token wins over the certificate of the service that passes it on: the person is who acts.
  if (typeof authorization === 'string') {
    if (!authorization.startsWith('Bearer ')) throw failure('Unauthenticated', 'authorization must be a bearer token');
    return identities.fromToken(authorization.slice(7));
  }
  const caller =
    certificate === undefined || !('raw' in certificate) ? undefined : identities.fromCertificate(certificate);
  if (!caller) throw failure('Unauthenticated', 'a client certificate of ours or a bearer token is needed');
  return caller;
}

function adapt(
  method: DescMethod,
  handler: (...args: unknown[]) => unknown,
  { identities, logger, observe }: GrpcServerOptions,
) {
  const name = `${method.parent.typeName}/${method.name}`;
  return (call: AnyCall, callback?: sendUnaryData<unknown>): void => {
    const begun = process.hrtime.bigint();
    const gone = new AbortController();
    (call as ServerUnaryCall<unknown, unknown>).on('cancelled', () => {
      gone.abort();
    });
    const run = async (): Promise<unknown> => {
      const caller = await identify(call, identities);
      authorize(caller, name);
      const [surface] = call.metadata.get('aats-surface');
      // Only a service may say on which surface a person stands; everybody else is on gRPC.
      const passedOn =
        call.getAuthContext().sslPeerCertificate !== undefined && (surface === 'web' || surface === 'rest');
      const context: CallContext = {
        caller,
        signal: gone.signal,
        method: name,
        surface: passedOn ? surface : surface === 'cli' ? 'cli' : 'grpc',
      };
      if (method.methodKind === 'server_streaming')
        return pump(
          handler((call as ServerWritableStream<unknown, unknown>).request, context) as AsyncIterable<unknown>,
          call as ServerWritableStream<unknown, unknown>,
        );
      return handler(
        method.methodKind === 'client_streaming'
          ? (call)
          : (call as ServerUnaryCall<unknown, unknown>).request,
        context,
      );
    };
    const finish = (code: string): void => {
      const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
      observe?.(name, code, seconds);
      logger.info({ method: name, code, ms: Math.round(seconds * 1000) }, 'call');
    };
    run().then(
      (response) => {
        finish('OK');
        if (callback) callback(null, response);
        else (call as ServerWritableStream<unknown, unknown>).end();
      },
      (error: unknown) => {
        const edge = toEdgeFailure(error, (id, cause) => {
          logger.error({ id, err: cause, method: name }, 'unexpected failure');
        });
        finish(edge.type);
        const answer = { code: status.UNKNOWN, details: '', metadata: new Metadata(), ...toGrpcStatus(edge) };
        if (callback) callback(answer);
        // Not destroy(): grpc-js sends the status as the stream's end, which a destroyed stream never reaches.
        else call.emit('error', Object.assign(new Error(answer.details), answer));
      },
    );
  };
}

/** Writes as fast as the reader reads, no faster. */
async function pump(responses: AsyncIterable<unknown>, stream: ServerWritableStream<unknown, unknown>): Promise<void> {
  for await (const response of responses) {
    if (stream.cancelled) return;
    if (!stream.write(response)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          stream.off('drain', go);
          stream.off('close', go);
          stream.off('cancelled', go);
          resolve();
        };
        stream.once('drain', go);
        stream.once('close', go);
        stream.once('cancelled', go);
      });
    }
  }
}

/** Reflection for identified callers only (ASVS 13.4.5). */
function addReflection(server: Server, services: readonly Implemented[], { identities }: GrpcServerOptions): void {
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (files.has(file.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    files.set(file.name, file);
  };
  for (const { service } of services) visit(service.file);
  const set = create(FileDescriptorSetSchema, { file: [...files.values()].map((file) => file.proto) });
  const reflection = new ReflectionService(
    loadFileDescriptorSetFromBuffer(Buffer.from(toBinary(FileDescriptorSetSchema, set))),
  );
  const guarded = new Proxy(server, {
    get: (target, property) =>
      property !== 'addService'
        ? (Reflect.get(target, property) as unknown)
        : (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
            const handlers = Object.entries(implementation).map(([name, handler]) => [
              name,
              (call: AnyCall): void => {
                identify(call, identities)
                  .then((caller) => {
                    authorize(caller, 'grpc/reflection');
                  })
                  .then(
                    () => {
                      (handler as (call: unknown) => void)(call);
                    },
                    () =>
                      (call as ServerDuplexStream<unknown, unknown>).destroy(
                        Object.assign(new Error('reflection needs an identity'), {
                          code: status.UNAUTHENTICATED,
                          details: 'reflection needs an identity',
                        }),
                      ),
                  );
              },
            ]);
            target.addService(definition, Object.fromEntries(handlers) as UntypedServiceImplementation);
          },
  });
  reflection.addToServer(guarded);
}
