import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Producer } from 'kafkajs';
import type { AppProcess } from '../../stack/app';
import { createStackContext } from '../../stack/context';
import type { PlanAnswer } from '../../stack/demo-plan';
import { kafka, kafkaAsAdmin } from '../../stack/kafka';
import { topics } from '../../workflows/contracts/messages';
import { openLedger } from '../support/ledger';
import { startSystem, type System, until } from '../support/system';

interface TaskAnswer {
  readonly attempts: readonly { readonly agent: string; readonly failure?: { readonly type: string } }[];
}

const folder = mkdtempSync(join(tmpdir(), 'aats-ledger-'));
const ledger = openLedger(folder);
const overKafka = 'ledger-k';
const overRabbitMq = 'ledger-r';
const agent = (name: string, transport: 'kafka' | 'rabbitmq', capability: string): AppProcess => ({
  name,
  identity: 'agent',
  command: [
    'test/support/ledger-agent.js',
    '--agent-id',
    name,
    '--transport',
    transport,
    '--capability',
    capability,
    '--ledger',
    folder,
  ],
});

let system: System;
beforeAll(async () => {
  system = await startSystem({
    agents: [
      agent('ledger-k-1', 'kafka', overKafka),
      agent('ledger-k-2', 'kafka', overKafka),
      agent('ledger-r-1', 'rabbitmq', overRabbitMq),
      agent('ledger-r-2', 'rabbitmq', overRabbitMq),
    ],
  });
}, 120_000);
afterAll(async () => {
  await system.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

const taskOf = async (planId: string, taskId: string): Promise<TaskAnswer> =>
  (await (await system.session('jonas')).get(`/v1/plans/${planId}/tasks/${taskId}`)) as TaskAnswer;

/** Sends every report of a plan again: late, in another order, twice, and for an attempt that is over. */
async function disturb(planId: string): Promise<{ sent(): number; stop(): Promise<void> }> {
  const client = await kafkaAsAdmin(
    await createStackContext({ dataDir: system.stack.dataDir, portOffset: system.stack.portOffset }),
  );
  const producer: Producer = client.producer();
  const consumer = client.consumer({ groupId: `disturb-${Date.now()}` });
  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topics: [topics.status(overKafka)], fromBeginning: false });
  let waiting: string[] = [];
  let sent = 0;
  await consumer.run({
    eachMessage: async ({ message }) => {
      const value = message.value?.toString() ?? '';
      if (!value.includes(planId) || value.includes('"again"')) return;
      const event = JSON.parse(value) as { id: string; data: { attempt: number } };
      const again = { ...event, source: 'again' };
      waiting.push(JSON.stringify(again), JSON.stringify({ ...again, id: `${event.id}-2` }));
      waiting.push(JSON.stringify({ ...again, data: { ...event.data, attempt: event.data.attempt - 1 } }));
      if (waiting.length < 30) return;
      const messages = waiting.reverse().map((one, at) => ({ key: String(at % 7), value: one }));
      waiting = [];
      await producer.send({ topic: topics.status(overKafka), messages });
      sent += messages.length;
    },
  });
  return {
    sent: () => sent,
    stop: async () => void (await Promise.all([consumer.disconnect(), producer.disconnect()])),
  };
}

describe('a ledger that agents write', () => {
  it('has each of 200 tasks once, whatever is killed in the middle and however reports come', async () => {
    // Waves of 29: one is opened after each kill, so the plan is in the middle at every one of them.
    const wave = 29;
    const tasks = Array.from({ length: 200 }, (_, at) => ({
      id: `t${at}`,
      capability: at % 2 === 0 ? overKafka : overRabbitMq,
      with: { forMs: 600, wave: Math.floor(at / wave) },
      heartbeat: '1s',
      // What is lost to a kill is tried again, and one task may be so unlucky several times.
      retry: { maxAttempts: 10 },
      ...(at >= wave && { needs: [`t${at - wave}`] }),
    }));
    const result = tasks.map(({ id }) => `\${{ tasks.${id}.output.token }}`);
    const planId = await system.startPlan('ledger', tasks, { result });
    const disturber = await disturb(planId);
    const ctx = await createStackContext({ dataDir: system.stack.dataDir, portOffset: system.stack.portOffset });
    const killBroker = async (): Promise<void> => {
      for (const name of kafka.processes(ctx)) await ctx.stopProcess(name, { signal: 'SIGKILL' });
      await kafka.start(ctx);
      await ctx.until(kafka.title, 60, () => kafka.ready(ctx));
    };
    const kills: readonly (() => Promise<void>)[] = [
      ...['worker-plans', 'ledger-k-1', 'communication-coordinator', 'ledger-r-2', 'project-manager'].map(
        (name) => () => system.supervisor.kill(name),
      ),
      killBroker,
    ];
    let answer: PlanAnswer;
    try {
      for (const [at, kill] of kills.entries()) {
        await until(
          () => Promise.resolve(ledger.entries().size),
          (size) => size >= at * wave + 10,
          120,
        );
        await kill();
        ledger.open(at + 1);
      }
      answer = await system.planEnd(planId, 150);
    } finally {
      await disturber.stop();
    }
    expect(answer.plan).toMatchObject({ state: 'succeeded', counts: { succeeded: 200 } });

    const entries = ledger.entries();
    expect([...entries.keys()].sort()).toEqual(tasks.map(({ id }) => `${planId}/${id}`).sort());
    // The plan knows just what the ledger knows: no result was lost, mixed up or taken from an attempt that did not count.
    expect(answer.plan.result).toEqual(tasks.map(({ id }) => entries.get(`${planId}/${id}`)?.token));
    expect(disturber.sent()).toBeGreaterThan(30);
    // The kills were felt: an agent that was killed in the middle of a task left an execution without an end.
    expect(ledger.executions().length).toBeGreaterThan(200);
  }, 300_000);

  it('gives the task of a dead agent to another one, before a third sign of life is missed', async () => {
    const heartbeatMs = 4000;
    const planId = await system.startPlan('dead-agent', [
      { id: 'long', capability: overRabbitMq, with: { forMs: 10_000 }, heartbeat: `${heartbeatMs}ms` },
    ]);
    const [first] = await until(
      () => Promise.resolve(ledger.executions().filter(({ task }) => task === `${planId}/long`)),
      (list) => list.length > 0,
      30,
    );
    const diedAt = Date.now();
    await system.supervisor.stop(first?.agent ?? '', 0);
    expect((await system.planEnd(planId, 60)).plan.state).toBe('succeeded');
    const [, second] = ledger.executions().filter(({ task }) => task === `${planId}/long`);
    expect(second?.agent).not.toBe(first?.agent);
    expect(Date.parse(second?.at ?? '') - diedAt).toBeLessThan(3 * heartbeatMs);
    const { attempts } = await taskOf(planId, 'long');
    expect(attempts.map(({ failure }) => failure?.type)).toEqual(['AgentLost', undefined]);
  }, 120_000);
});
