import { setTimeout } from 'node:timers/promises';
import { ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { tlsConfig } from '../../services/runtime/config';
import { ServiceFailure } from '../../services/runtime/failure-status';
import { createGrpcClient } from '../../services/runtime/grpc-client';
import { clientCredentials, readTls } from '../../services/runtime/tls';
import type { PlanAnswer } from '../../stack/demo-plan';
import { agent } from '../../stack/app';
import { createStackContext } from '../../stack/context';
import { kafka, kafkaAsAdmin } from '../../stack/kafka';
import { rabbitmq } from '../../stack/rabbitmq';
import { temporal } from '../../stack/temporal';
import { topics } from '../../workflows/contracts/messages';
import { killAndStart, startSystem, type System, until } from '../support/system';

let system: System;
beforeAll(async () => {
  system = await startSystem({
    agents: [
      agent('echo-a', 'kafka', 4, ['echo']),
      agent('echo-b', 'kafka', 4, ['echo']),
      agent('shell-a', 'rabbitmq', 4, ['command']),
      agent('shell-b', 'rabbitmq', 4, ['command']),
    ],
  });
}, 120_000);
afterAll(async () => {
  await system.stop();
}, 60_000);

const chain = (capability: string, length: number, args: object): readonly object[] =>
  Array.from({ length }, (_, at) => ({
    id: `t${at}`,
    capability,
    with: args,
    heartbeat: '1s',
    ...(at >= 10 && { needs: [`t${at - 10}`] }),
  }));
describe('a system under faults', () => {
  it.each([
    ['Kafka', kafka, 'echo', {}],
    ['RabbitMQ', rabbitmq, 'command', { program: 'echo', args: ['hello'] }],
    ['Temporal', temporal, 'echo', {}],
  ] as const)(
    'ends a plan although %s is killed and started again in the middle',
    async (_name, server, capability, args) => {
      const planId = await system.startPlan('broken', chain(capability, 100, args));
      await killAndStart(system, server);
      expect((await system.planEnd(planId, 150)).plan).toMatchObject({
        state: 'succeeded',
        counts: { succeeded: 100 },
      });
    },
    300_000,
  );

  it('shows a plan live again after Kafka was killed and started again, and says meanwhile that it is not', async () => {
    const jonas = await system.session('jonas');
    const planId = await system.startPlan('watched', [{ id: 'never', capability: 'nobody-offers-this' }]);
    const plans = createGrpcClient(ProjectManager, {
      address: system.stack.identities.cli['AATS_PROJECT_MANAGER_ADDRESS'] ?? '',
      credentials: clientCredentials(readTls(tlsConfig.parse(system.stack.identities.admin))),
    });
    const [heard, ends]: [string[], string[]] = [[], []];
    const gone = new AbortController();
    // As clients do: after a break they watch from the last cursor.
    const follow = async (): Promise<void> => {
      let cursor: bigint | undefined;
      while (!gone.signal.aborted) {
        try {
          const request = { planId, ...(cursor !== undefined && { cursor }) };
          for await (const { event } of plans.watchPlan(request, { signal: gone.signal })) {
            if (event.case === 'change') cursor = event.value.cursor;
            if (event.case === 'snapshot') cursor = event.value.plan?.cursor;
            if (event.case !== 'progress' && event.value?.plan) heard.push(event.value.plan.state);
          }
        } catch (error) {
          if (error instanceof ServiceFailure && error.type !== 'Cancelled') ends.push(error.type);
        }
        await setTimeout(250);
      }
    };
    const following = follow();
    const hears = (state: string): Promise<unknown> =>
      until(
        () => Promise.resolve(heard),
        (list) => list.at(-1) === state,
        60,
      );
    await hears('running');
    await killAndStart(system, kafka, () =>
      until(
        () => Promise.resolve(ends),
        (list) => list.includes('BusUnavailable'),
        60,
      ),
    );
    await jonas.post(`/v1/plans/${planId}/pause`, {});
    await hears('paused');
    await jonas.post(`/v1/plans/${planId}/resume`, {});
    await hears('running');
    await jonas.post(`/v1/plans/${planId}/cancel`, {});
    await hears('cancelled');
    gone.abort();
    await following;
    plans.close();
    expect([...new Set(ends)]).toEqual(['BusUnavailable']);
  }, 240_000);

  it('ends a plan although agents are killed in the middle of tasks', async () => {
    const planId = await system.startPlan('agents', chain('command', 60, { program: 'date' }));
    for (const name of ['shell-a', 'shell-b', 'shell-a']) await system.supervisor.kill(name);
    expect((await system.planEnd(planId, 120)).plan).toMatchObject({ state: 'succeeded', counts: { succeeded: 60 } });
  }, 180_000);

  it('keeps what cannot be read in the dead letters, with the reason, and goes on', async () => {
    const ctx = await createStackContext({ dataDir: system.stack.dataDir, portOffset: system.stack.portOffset });
    const client = await kafkaAsAdmin(ctx);
    const [producer, consumer] = [client.producer(), client.consumer({ groupId: `test-${Date.now()}` })];
    await producer.connect();
    await consumer.connect();
    await consumer.subscribe({ topics: [topics.deadLetters], fromBeginning: true });
    const letters: string[] = [];
    await consumer.run({
      eachMessage: ({ message }) => {
        letters.push(message.value?.toString('utf8') ?? '');
        return Promise.resolve();
      },
    });
    const marker = `poison-${Date.now()}`;
    for (const value of [
      marker,
      JSON.stringify({
        specversion: '1.0',
        id: marker,
        source: 'x',
        type: 'ai.aats.task.reported.v1',
        data: { planId: 5, marker },
      }),
    ])
      await producer.send({ topic: topics.status('echo'), messages: [{ value }] });
    const found = await until(
      () => Promise.resolve(letters.filter((one) => one.includes(marker))),
      (list) => list.length >= 2,
      30,
    );
    await Promise.all([producer.disconnect(), consumer.disconnect()]);
    // They may have come by two partitions, in any order.
    for (const reason of ['it is not JSON', 'does not fit'])
      expect(found).toContainEqual(expect.stringContaining(reason));
    const planId = await system.startPlan('after-poison', [{ id: 'a', capability: 'echo' }]);
    expect((await system.planEnd(planId, 30)).plan.state).toBe('succeeded');
  }, 120_000);

  it('compensates when a plan is cancelled, and tells so', async () => {
    const jonas = await system.session('jonas');
    const planId = await system.startPlan('saga', [
      { id: 'book', capability: 'echo', compensation: { capability: 'echo', with: { undo: '${{ plan.id }}' } } },
      { id: 'wait', capability: 'nobody-offers-this', needs: ['book'] },
    ]);
    await until(
      async () => (await jonas.get(`/v1/plans/${planId}`)) as PlanAnswer,
      ({ tasks }) => tasks.some(({ id, state }) => id === 'book' && state === 'succeeded'),
      30,
    );
    await jonas.post(`/v1/plans/${planId}/cancel`, { reason: 'test' });
    const answer = await system.planEnd(planId, 30);
    expect(answer.plan).toMatchObject({ state: 'cancelled', compensation: 'done' });
  }, 90_000);
});
