import { randomUUID } from 'node:crypto';
import { request as requestHttps } from 'node:https';
import { pino } from 'pino';
import { cloudEvent, contentType, readEvent } from '../../activities/buses/cloud-event';
import { acknowledgedByAll, createKafka, createProducer } from '../../activities/buses/kafka';
import { createRedis, redisConfig } from '../../activities/stores/redis';
import { createRabbitMq, publishConfirmed, type RabbitMq } from '../../activities/buses/rabbitmq';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { coordinatorConfig } from '../../services/communication-coordinator/config';
import { startCoordinator } from '../../services/communication-coordinator/service';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { clientCredentials, type TlsMaterial } from '../../services/runtime/tls';
import { createStackContext } from '../../stack/context';
import { kafkaAsAdmin } from '../../stack/kafka';
import { exchanges, queues, topics, type TaskDispatch, type Transport } from '../../workflows/contracts/messages';
import { createConformance } from '../support/openapi';
import { eventually, tlsOf } from '../support/project-manager';
import { identityEnvironment, stackFile } from '../support/stack';

type Coordinator = GrpcClient<typeof CommunicationCoordinator>;

describe('communication coordinator', () => {
  const closers: (() => unknown)[] = [];
  const config = coordinatorConfig.parse(identityEnvironment('communication-coordinator'));
  const kafka = createKafka(config, 'test');
  let ports: { readonly grpcPort: number; readonly restPort: number };
  let rabbitmq: RabbitMq;
  let agents: Coordinator;
  let services: Coordinator;

  const clientOf = (tls: TlsMaterial): Coordinator => {
    const client = createGrpcClient(CommunicationCoordinator, {
      address: `localhost:${ports.grpcPort}`,
      credentials: clientCredentials(tls),
    });
    closers.push(() => {
      client.close();
    });
    return client;
  };
  const rest = (method: string, path: string) =>
    new Promise<{ method: string; path: string; status: number; type: string; json: Record<string, unknown> }>(
      (resolve, reject) => {
        const url = `https://localhost:${ports.restPort}${path}`;
        requestHttps(url, { ...tlsOf('admin'), method, agent: false }, (incoming) => {
          let text = '';
          incoming.setEncoding('utf8').on('data', (part: string) => (text += part));
          incoming.on('end', () => {
            const type = incoming.headers['content-type'] ?? '';
            const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
            resolve({ method, path, status: incoming.statusCode ?? 0, type, json });
          });
        })
          .on('error', reject)
          .end();
      },
    );
  const names: string[] = [];
  const newName = (): string => {
    const name = `cc-${randomUUID().slice(0, 8)}`;
    names.push(name);
    return name;
  };
  const registration = (agentId: string, transport: Transport, ...names: readonly string[]) => ({
    agentId,
    transport,
    capacity: 1,
    capabilities: names.map((name) => ({ name })),
  });
  const dispatch = (capability: string): TaskDispatch => ({
    planId: newName(),
    taskId: 'a',
    attempt: 1,
    capability,
    title: 'A',
    arguments: {},
    timeoutMs: 1000,
    heartbeatMs: 1000,
    owner: 'petra',
  });
  const toQueue = async (exchange: string, key: string, body: string): Promise<void> =>
    publishConfirmed(await rabbitmq.publisher(), exchange, key, Buffer.from(body), {
      messageId: randomUUID(),
      contentType,
      type: 'test',
    });
  /** The next message of a queue in which `marker` stands; the others stay. */
  const nextWith = (queue: string, marker: string): Promise<string> =>
    new Promise((resolve) => {
      const stop = rabbitmq.consume((channel) =>
        channel.consume(queue, (message) => {
          const text = message?.content.toString('utf8') ?? '';
          if (!message || !text.includes(marker)) return;
          channel.ack(message);
          void stop().then(() => {
            resolve(text);
          });
        }),
      );
    });

  beforeAll(async () => {
    ports = await startCoordinator(
      { ...config, AATS_GRPC_PORT: 0, AATS_REST_PORT: 0 },
      { logger: pino({ level: 'silent' }), onStop: (_name, close) => closers.push(close) },
    );
    rabbitmq = createRabbitMq(config);
    closers.push(() => rabbitmq.close());
    [agents, services] = [clientOf(tlsOf('agent')), clientOf(tlsOf('admin'))];
    await eventually(
      () => rest('GET', '/health/ready'),
      ({ status }) => status === 200,
    );
  }, 60_000);
  afterAll(async () => {
    for (const close of closers.reverse()) await close();
    await forgetNames();
  }, 120_000);
  /** Topics, queues and routes outlive a run: those of this file's names, of earlier runs too, would only grow in number. */
  const forgetNames = async (): Promise<void> => {
    const ours = (name: string): boolean => /(^|\.)cc-[\da-f]{8}(\.|$)/.test(name);
    const redis = createRedis(redisConfig.parse(identityEnvironment('communication-coordinator')));
    const { dataDir, portOffset } = stackFile();
    const admin = (await kafkaAsAdmin(await createStackContext({ dataDir, portOffset }))).admin();
    const rabbit = createRabbitMq(config);
    await admin.connect();
    try {
      const routed = (await redis.hkeys('capability:transports')).filter(ours);
      if (routed.length > 0) await redis.hdel('capability:transports', ...routed);
      const queued = (await redis.smembers('capability:queued')).filter(ours);
      if (queued.length > 0) await redis.srem('capability:queued', ...queued);
      const channel = await rabbit.publisher();
      for (const name of names) await channel.deleteQueue(queues.tasks(name));
      const left = (await admin.listTopics()).filter(ours);
      if (left.length > 0) await admin.deleteTopics({ topics: left });
    } finally {
      redis.disconnect();
      await Promise.all([admin.disconnect(), rabbit.close()]);
    }
  };

  it('knows agents that registered, by what they offer', async () => {
    const [agentId, capability] = [newName(), newName()];
    const { heartbeat } = await agents.registerAgent(registration(agentId, 'kafka', capability));
    expect(heartbeat).toMatchObject({ seconds: 2n, nanos: 0 });
    expect((await services.listAgents({ capability })).agents).toMatchObject([
      { agentId, state: 'ready', identity: 'agent/local' },
    ]);
    expect(await services.resolveRoutes({ capabilities: [capability] })).toMatchObject({
      transports: { [capability]: 'kafka' },
      known: [capability],
    });
  });

  it('forgets an agent that it does not hear of', async () => {
    const agentId = newName();
    await agents.registerAgent(registration(agentId, 'kafka', newName()));
    await eventually(
      () => agents.getAgent({ agentId }).catch((error: unknown) => error),
      (answer) => (answer as { type?: string }).type === 'AgentNotFound',
    );
    await expect(agents.heartbeat({ agentId })).rejects.toMatchObject({ type: 'AgentNotFound' });
  });

  it('lets nobody act as an agent but who registered it', async () => {
    const agentId = newName();
    await services.registerAgent(registration(agentId, 'kafka', newName()));
    const refused = {
      type: 'PermissionDenied',
      message: `agent ${agentId} was registered by service/admin, not by agent/local`,
    };
    await expect(agents.heartbeat({ agentId })).rejects.toMatchObject(refused);
    await expect(agents.drainAgent({ agentId })).rejects.toMatchObject(refused);
    await expect(agents.getAgent({ agentId })).rejects.toMatchObject({ type: 'PermissionDenied' });
    await expect(agents.registerAgent(registration(agentId, 'kafka', newName()))).rejects.toMatchObject(refused);
    const draining = cloudEvent('agentDraining', { source: agentId, data: { agentId } });
    const letter = nextWith(queues.deadLetters, agentId);
    await toQueue(exchanges.topic, 'responses.test', JSON.stringify(draining));
    expect(await letter).toContain('not by bus/agent');
    expect((await services.getAgent({ agentId })).agent?.state).toBe('ready');
  });

  it('tells an agent to drain until another instance of it registers', async () => {
    const request = { ...registration(newName(), 'kafka', newName()), instance: 'first' };
    const { agentId } = request;
    await agents.registerAgent(request);
    await agents.heartbeat({ agentId });
    expect((await rest('POST', `/v1/agents/${agentId}/drain`)).json).toMatchObject({ agent: { state: 'draining' } });
    for (let beat = 0; beat < 2; beat++) expect(await agents.heartbeat({ agentId })).toMatchObject({ drain: true });
    await agents.registerAgent(request);
    expect(await agents.heartbeat({ agentId })).toMatchObject({ drain: true });
    await agents.registerAgent({ ...request, instance: 'second' });
    expect(await agents.heartbeat({ agentId })).toMatchObject({ drain: false });
  });

  it('tells an agent that has only the bus what it is to stop, again when it has missed that', async () => {
    const request = registration(newName(), 'rabbitmq', newName());
    const { agentId } = request;
    const attempt = { planId: newName(), taskId: 'a', attempt: 1 };
    const heard: string[] = [];
    const notices = async (): Promise<void> => {
      const inbox = `agent.inbox.${randomUUID()}`;
      const channel = await rabbitmq.publisher();
      await channel.assertQueue(inbox, { exclusive: true });
      await channel.bindQueue(inbox, exchanges.fanout, '');
      await channel.consume(
        inbox,
        (message) => {
          const { name, data } = readEvent(message?.content ?? null, ['taskCancelled', 'agentDraining']);
          if (name === 'taskCancelled' && data.attempts.some(({ planId }) => planId === attempt.planId))
            heard.push(name);
          if (name === 'agentDraining' && data.agentId === agentId) heard.push(name);
        },
        { noAck: true },
      );
    };
    const say = (event: object): Promise<void> => toQueue(exchanges.topic, 'responses.test', JSON.stringify(event));
    const register = (): Promise<void> => say(cloudEvent('agentRegistered', { source: agentId, data: request }));
    const hears = (...events: readonly string[]): Promise<unknown> =>
      eventually(
        () => Promise.resolve([...heard]),
        (now) => now.join() === events.join(),
      );
    await register();
    await eventually(
      () => services.getAgent({ agentId }).catch(() => undefined),
      (answer) => answer !== undefined,
    );
    await notices();
    await services.cancelAttempts({ attempts: [attempt] });
    await hears('taskCancelled');
    const running = [{ ...attempt, heartbeatMs: 1000 }];
    await say(cloudEvent('agentHeartbeat', { source: agentId, data: { agentId, running } }));
    await hears('taskCancelled', 'taskCancelled');
    await rest('POST', `/v1/agents/${agentId}/drain`);
    await hears('taskCancelled', 'taskCancelled', 'agentDraining');
    await register();
    await hears('taskCancelled', 'taskCancelled', 'agentDraining', 'agentDraining');
    expect((await services.getAgent({ agentId })).agent?.state).toBe('draining');
  }, 60_000);

  it('keeps a capability on one bus while agents serve it, also when two come at once', async () => {
    const capability = newName();
    const answers = await Promise.allSettled(
      (['kafka', 'rabbitmq'] as const).map((transport) =>
        agents.registerAgent(registration(newName(), transport, capability)),
      ),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(2);
    const known = (await services.listAgents({ capability })).agents;
    const other: Transport = known[0]?.transport === 'rabbitmq' ? 'kafka' : 'rabbitmq';
    if (known.length > 0)
      await expect(agents.registerAgent(registration(newName(), other, capability))).rejects.toMatchObject({
        type: 'TransportConflict',
      });
  });

  it('refuses a wrong registration with everything that is wrong', async () => {
    const wrong = { agentId: 'No Name', transport: 'pigeon', capacity: 0, capabilities: [] };
    const error: unknown = await agents.registerAgent(wrong).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ type: 'InvalidInput' });
    const pointers = (error as { details: { pointer: string }[] }).details.map(({ pointer }) => pointer);
    expect([...new Set(pointers)].sort()).toEqual(['/agentId', '/capabilities', '/capacity', '/transport']);
  });

  it('refuses a sign of life of what no plan can run, which Temporal would never take', async () => {
    const agentId = newName();
    await agents.registerAgent(registration(agentId, 'kafka', newName()));
    const running = [{}, { attempt: { planId: 'x'.repeat(2000), taskId: 'a', attempt: 1 } }];
    const error: unknown = await agents.heartbeat({ agentId, running }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ type: 'InvalidInput' });
    const pointers = (error as { details: { pointer: string }[] }).details.map(({ pointer }) => pointer);
    expect(pointers).toEqual(expect.arrayContaining(['/running/0/planId', '/running/0/attempt', '/running/1/planId']));
  });

  it('counts the tasks that wait for a capability that nobody offers', async () => {
    const capability = newName();
    await services.resolveRoutes({ capabilities: [capability] });
    const producer = createProducer(kafka);
    await producer.connect();
    const value = JSON.stringify(cloudEvent('taskDispatched', { source: 'test', data: dispatch(capability) }));
    await producer.send({ topic: topics.tasks(capability), acks: acknowledgedByAll, messages: [{ value }, { value }] });
    await producer.disconnect();
    const waiting = async (): Promise<unknown> =>
      ((await rest('GET', `/v1/agents?capability=${capability}`)).json['queued'] as Record<string, string>)[capability];
    await eventually(waiting, (count) => count === '2');
    const metrics = await new Promise<string>((resolve, reject) => {
      requestHttps(`https://localhost:${ports.restPort}/metrics`, { ...tlsOf('admin'), agent: false }, (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (part: string) => (text += part));
        incoming.on('end', () => {
          resolve(text);
        });
      })
        .on('error', reject)
        .end();
    });
    expect(metrics).toMatch(new RegExp(`^agent_task_queue_length\\{.*capability="${capability}".*\\} 2$`, 'm'));

    // Those who offer it in the end are on the other bus: the tasks are moved there.
    await agents.registerAgent(registration(newName(), 'rabbitmq', capability));
    const moved = nextWith(queues.tasks(capability), capability);
    expect(JSON.parse(await moved)).toMatchObject({ type: 'ai.aats.task.dispatched.v1', data: { capability } });
  }, 60_000);

  it('moves tasks from a queue whose agents have left to the topic of those that came', async () => {
    const [capability, agentId] = [newName(), newName()];
    await agents.registerAgent(registration(agentId, 'rabbitmq', capability));
    const event = cloudEvent('taskDispatched', { source: 'test', data: dispatch(capability) });
    await toQueue(exchanges.direct, queues.tasks(capability), JSON.stringify(event));
    await eventually(
      () => agents.registerAgent(registration(newName(), 'kafka', capability)).catch(() => undefined),
      Boolean,
    );
    expect(await services.resolveRoutes({ capabilities: [capability] })).toMatchObject({
      transports: { [capability]: 'kafka' },
    });
    const consumer = kafka.consumer({ groupId: `coordinator.test.${capability}` });
    await consumer.connect();
    await consumer.subscribe({ topics: [topics.tasks(capability)], fromBeginning: true });
    const moved = await new Promise<string>((resolve) => {
      void consumer.run({
        eachMessage: ({ message }) => {
          resolve(message.value?.toString('utf8') ?? '');
          return Promise.resolve();
        },
      });
    });
    await consumer.disconnect();
    expect(JSON.parse(moved)).toMatchObject({ id: event.id });
  }, 60_000);

  it('puts what it cannot read into the dead letters, with the reason and its trace, and goes on', async () => {
    const marker = randomUUID();
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const report = { planId: 'none', taskId: 'a', attempt: 1, agent: 'x', at: '2026-01-01T00:00:00Z' };
    const bad = JSON.stringify(
      cloudEvent('taskReported', {
        source: marker,
        traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`,
        data: { ...report, kind: 'succeeded', output: 'DEEP' },
      }),
    ).replace('"DEEP"', deep);
    for (const [body, reason] of [
      [`not JSON ${marker}`, 'it is not JSON'],
      [bad, 'it is nested more than 100 levels deep'],
      [
        JSON.stringify({
          ...cloudEvent('taskReported', { source: marker, data: { ...report, kind: 'started' } as never }),
        }),
        'its data does not fit: Instance does not have required property "heartbeatMs".',
      ],
    ] as const) {
      const letter = nextWith(queues.deadLetters, marker);
      await toQueue(exchanges.topic, 'responses.test', body);
      const event = JSON.parse(await letter) as { traceparent?: string; data: { reason: string; from: string } };
      expect(event.data).toMatchObject({ from: queues.responses, reason });
      if (body === bad) expect(event.traceparent).toContain('ab'.repeat(16));
    }
    const agentId = newName();
    const registered = registration(agentId, 'rabbitmq', newName());
    await toQueue(
      exchanges.topic,
      'responses.test',
      JSON.stringify(cloudEvent('agentRegistered', { source: agentId, data: registered })),
    );
    const known = await eventually(
      () => services.getAgent({ agentId }).catch(() => undefined),
      (answer) => answer !== undefined,
    );
    expect(known?.agent).toMatchObject({ identity: 'bus/agent', transport: 'rabbitmq' });
  }, 60_000);

  it('answers over REST as its document says', async () => {
    const agentId = newName();
    await agents.registerAgent(registration(agentId, 'kafka', newName()));
    const { json: document } = await rest('GET', '/openapi.json');
    const answers = [
      await rest('GET', '/v1/agents'),
      await rest('GET', `/v1/agents/${agentId}`),
      await rest('GET', '/v1/agents/nobody-here'),
      await rest('GET', '/v1/agents?colour=red&size=1'),
      await rest('POST', `/v1/agents/${agentId}/drain`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 400, 200]);
    expect(answers[3]?.json['problems']).toHaveLength(2);
    const { problemsOf } = createConformance(document);
    expect(answers.flatMap(problemsOf)).toEqual([]);
  });
});
