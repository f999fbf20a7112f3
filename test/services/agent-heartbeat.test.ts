import { pino } from 'pino';
import { keepPresent } from '../../agents/sdk/heartbeat';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { implement, type RunningGrpcServer, startGrpcServer } from '../../services/runtime/grpc';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { createIdentities } from '../../services/runtime/identity';
import { clientCredentials } from '../../services/runtime/tls';
import type { TaskDispatch } from '../../workflows/contracts/messages';
import { type Authority, createAuthority } from '../support/authority';
import { handlersOf } from '../support/service';

describe('signs of life of an agent', () => {
  let authority: Authority;
  let server: RunningGrpcServer;
  let coordinator: GrpcClient<typeof CommunicationCoordinator>;
  let heard: (taskIds: readonly string[]) => void = () => undefined;

  beforeAll(async () => {
    authority = createAuthority();
    const handlers = handlersOf(CommunicationCoordinator, {
      // An idle agent is to be heard of once in a minute.
      registerAgent: () => Promise.resolve({ heartbeat: { seconds: 60n, nanos: 0 } }),
      heartbeat: ({ running }) => {
        heard(running.map(({ attempt }) => attempt?.taskId ?? ''));
        return Promise.resolve({ cancel: running.flatMap(({ attempt }) => (attempt ? [attempt] : [])) });
      },
    });
    server = await startGrpcServer({
      tls: authority.issue('URI:spiffe://aats/service/communication-coordinator'),
      port: 0,
      requireClientCertificate: true,
      identities: createIdentities({ jwksUrl: 'https://localhost:1/', ca: authority.ca }),
      services: [implement(CommunicationCoordinator, handlers)],
      logger: pino({ level: 'silent' }),
    });
    coordinator = createGrpcClient(CommunicationCoordinator, {
      address: `localhost:${server.port}`,
      credentials: clientCredentials(authority.issue('URI:spiffe://aats/agent/one')),
    });
  });
  afterAll(async () => {
    coordinator.close();
    await server.drain(0);
    authority.remove();
  });

  it('begin with the task that asks for them, and tell what is to stop', async () => {
    const running: TaskDispatch[] = [];
    let cancelled: (attemptId: string) => void = () => undefined;
    const first = new Promise<readonly string[]>((resolve) => (heard = resolve));
    const stopped = new Promise<string>((resolve) => (cancelled = resolve));
    const presence = await keepPresent({
      coordinator,
      registration: { agentId: 'one', transport: 'kafka', capacity: 1, capabilities: [{ name: 'echo' }] },
      running: () => running,
      onCancel: (attemptId) => {
        cancelled(attemptId);
      },
      onDrain: () => undefined,
      logger: pino({ level: 'silent' }),
    });
    const task: TaskDispatch = {
      planId: 'p',
      taskId: 'short',
      attempt: 1,
      capability: 'echo',
      title: 'Short',
      arguments: {},
      timeoutMs: 1000,
      heartbeatMs: 300,
      owner: 'jonas',
    };
    running.push(task);
    presence.began(task);
    expect(await first).toEqual(['short']);
    expect(await stopped).toBe('p/short/1');
    await presence.stop();
  });
});
