import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  type MethodDefinition,
  Metadata,
  Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  type ServerWritableStream,
  status,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { DescMethod } from '@bufbuild/protobuf';
import { HealthImplementation } from 'grpc-health-check';
import { toEdgeFailure, toGrpcStatus } from './failure-status';
import { type AnyCall, identify, servicePeer } from './grpc-caller';
import { type CallContext, type Implemented, serverDefinitionOf } from './grpc-handlers';
import { addReflection } from './grpc-reflection';
import { type Identities, nameOf } from './identity';
import { inCall, type Logger, note, notePlan } from './logger';
import { whileWaitedFor } from './patience';
import { readRequest, readRequests } from './request-bytes';
import { authorize } from './roles';
import { giveUpUnread, stalledAfterMs, takesMore } from './slow-reader';
import { Tls13ServerCredentials, type TlsMaterial } from './tls';

export { type CallContext, type Handlers, implement, type Implemented } from './grpc-handlers';

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
  /** A reader of a stream that takes nothing for so long is cut off; default 30 s. */
  readonly stalledAfterMs?: number;
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
      definition[method.name] = serverDefinitionOf(method);
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
  const healthWatches = addHealth(server, health);
  addReflection(server, services, options.identities);
  const port = await bind(server, options.port, new Tls13ServerCredentials(tls, options));
  return {
    port,
    drain: (graceSeconds) =>
      new Promise((resolve) => {
        for (const name of ['', ...services.map(({ service }) => service.typeName)])
          health.setStatus(name, 'NOT_SERVING');
        for (const watch of healthWatches) watch.end();
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

/** Gives the watches under way: by itself none would end, and each would hold up the end of the server. */
function addHealth(server: Server, health: HealthImplementation): ReadonlySet<HealthWatch> {
  const watches = new Set<HealthWatch>();
  health.addToServer({
    addService: (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
      const watch = implementation['watch'] as (call: HealthWatch) => void;
      server.addService(definition, {
        ...implementation,
        watch: (call: HealthWatch) => {
          watches.add(call);
          call.once('cancelled', () => watches.delete(call));
          watch(call);
        },
      });
    },
  });
  return watches;
}
type HealthWatch = ServerWritableStream<unknown, unknown>;

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

function adapt(
  method: DescMethod,
  handler: (...args: unknown[]) => unknown,
  { identities, logger, observe, stalledAfterMs: patienceMs = stalledAfterMs }: GrpcServerOptions,
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
      note({ caller: nameOf(caller) });
      authorize(caller, name);
      const [surface] = call.metadata.get('aats-surface');
      // On which surface a person stands: another service may say so, and the command line of itself.
      const passedOn = (surface === 'web' || surface === 'rest') && servicePeer(call, identities) !== undefined;
      const context: CallContext = {
        caller,
        signal: gone.signal,
        method: name,
        surface: passedOn ? surface : surface === 'cli' ? 'cli' : 'grpc',
      };
      if (method.methodKind === 'client_streaming')
        return handler(readRequests(method.input, call as unknown as AsyncIterable<Buffer>), context);
      const request = readRequest(method.input, (call as ServerUnaryCall<Buffer, unknown>).request);
      notePlan(request);
      if (method.methodKind === 'server_streaming')
        return pump(
          handler(request, context) as AsyncIterable<unknown>,
          call as ServerWritableStream<unknown, unknown>,
          patienceMs,
        );
      return whileWaitedFor(gone.signal, (signal) => handler(request, { ...context, signal }) as Promise<unknown>);
    };
    const finish = (code: string): void => {
      const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
      observe?.(name, code, seconds);
      // Signs of life would drown everything else.
      const level = code === 'OK' && name.endsWith('/Heartbeat') ? 'debug' : 'info';
      logger[level]({ method: name, outcome: code, ms: Math.round(seconds * 1000) }, 'call');
    };
    const endStream = (stream: ServerWritableStream<unknown, unknown>): void => {
      giveUpUnread(stream, patienceMs, () => {
        reset(stream);
      });
    };
    const answer = (): Promise<void> =>
      run().then(
        (response) => {
          finish('OK');
          if (callback) callback(null, response);
          else endStream((call as ServerWritableStream<unknown, unknown>).end());
        },
        (error: unknown) => {
          const edge = toEdgeFailure(error, (id, cause) => {
            logger.error({ id, err: cause, method: name }, 'unexpected failure');
          });
          finish(edge.type);
          const refusal = { code: status.UNKNOWN, details: '', metadata: new Metadata(), ...toGrpcStatus(edge) };
          if (callback) callback(refusal);
          else {
            // Not destroy(): grpc-js sends the status as the stream's end, which a destroyed stream never reaches.
            call.emit('error', Object.assign(new Error(refusal.details), refusal));
            endStream(call as ServerWritableStream<unknown, unknown>);
          }
        },
      );
    const [traceparent] = call.metadata.get('traceparent');
    void inCall(typeof traceparent === 'string' ? traceparent : undefined, answer);
  };
}

/** Writes as fast as the reader reads, no faster; one that stops reading is cut off (SlowReader). */
async function pump(
  responses: AsyncIterable<unknown>,
  stream: ServerWritableStream<unknown, unknown>,
  patienceMs: number,
): Promise<void> {
  for await (const response of responses) {
    if (stream.cancelled) return;
    if (!stream.write(response)) await takesMore(stream, patienceMs);
  }
}

/** Ends a call without waiting for its reader, as RESOURCE_EXHAUSTED. grpc-js itself has no way to, and keeps the stream to itself. */
function reset(call: ServerWritableStream<unknown, unknown>): void {
  const { stream } = (call as unknown as { readonly call: { readonly stream: ServerHttp2Stream } }).call;
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}
