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
  const keep = async () => {
    const running: TaskDispatch[] = [];
    const cancelled: string[] = [];
    const presence = await keepPresent({
      coordinator,
      registration: { agentId: 'one', transport: 'kafka', capacity: 1, capabilities: [{ name: 'echo' }] },
      running: () => running,
      onCancel: (attemptId) => cancelled.push(attemptId),
      onDrain: () => undefined,
      logger: pino({ level: 'silent' }),
    });
    return { presence, running, cancelled };
  };

  it('tell before a task begins that it is not wanted any more', async () => {
    const { presence, running, cancelled } = await keep();
    running.push(task);
    await presence.checkIn();
    expect(cancelled).toEqual(['p/short/1']);
    await presence.stop();
  });

  it('come as often as the quickest task asks', async () => {
    const { presence, running } = await keep();
    running.push(task);
    await presence.checkIn();
    const next = new Promise<readonly string[]>((resolve) => (heard = resolve));
    expect(await next).toEqual(['short']);
    await presence.stop();
  });

  it('are one for all tasks that come at once', async () => {
    const { presence, running } = await keep();
    const beats: (readonly string[])[] = [];
    heard = (taskIds) => beats.push(taskIds);
    const names = Array.from({ length: 100 }, (_, at) => `task${at}`);
    await Promise.all(
      names.map((taskId) => {
        running.push({ ...task, taskId, heartbeatMs: 60_000 });
        return presence.checkIn();
      }),
    );
    expect(beats).toEqual([names]);
    await presence.stop();
  });
});
