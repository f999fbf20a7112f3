import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { fromJson, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { cloudEvent, readEvent } from '../../activities/buses/cloud-event';
import { createRabbitMq, publishConfirmed, rabbitmqConfig } from '../../activities/buses/rabbitmq';
import type { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { PlanSchema } from '../../proto/aats/project/v1/plan_pb';
import {
  GetPlanResponseSchema,
  GetTaskResponseSchema,
  PlanSummarySchema,
  type ProjectManager,
} from '../../proto/aats/project/v1/project_pb';
import type { GrpcClient } from '../../services/runtime/grpc-client';
import { readPlanSource } from '../../services/runtime/plan-source';
import type { AppProcess } from '../../stack/app';
import { packageRoot } from '../../stack/package-root';
import { rabbitmq } from '../../stack/rabbitmq';
import type { RestSession } from '../../stack/rest-session';
import { exchanges, queues } from '../../workflows/contracts/messages';
import { openBookings } from '../support/bookings';
import { worldOf } from '../support/example-capabilities';
import { killAndStart, startSystem, type System, until } from '../support/system';
import { agentsAsAdmin, plansAs } from '../support/system-clients';

interface Task {
  readonly task: {
    readonly title: string;
    readonly state: string;
    readonly reason?: string;
    readonly failure?: { readonly type: string };
  };
  readonly arguments?: JsonObject;
  readonly output?: JsonValue;
  readonly attempts?: readonly { readonly state: string; readonly failure?: { readonly type: string } }[];
}

const folder = mkdtempSync(join(tmpdir(), 'aats-examples-'));
const world = worldOf(folder);
const bookings = openBookings(world.bookings);
const plansFolder = join(packageRoot, 'examples', 'plans');
const example = (name: string): string => readFileSync(join(plansFolder, `${name}.plan.yaml`), 'utf8');
const agent = (
  name: string,
  transport: 'kafka' | 'rabbitmq',
  capabilities: readonly string[],
  capacity = 4,
): AppProcess => ({
  name,
  identity: 'agent',
  command: [
    'test/support/example-agent.js',
    ...['--agent-id', name, '--transport', transport, '--capacity', String(capacity)],
    ...['--capabilities', capabilities.join(','), '--folder', folder],
  ],
});
const crew = ['summarise', 'book-flight', 'book-hotel', 'book-car', 'cancel-booking', 'read-text'];

let system: System;
let jonas: RestSession;
let plans: GrpcClient<typeof ProjectManager>;
let coordinator: GrpcClient<typeof CommunicationCoordinator>;
beforeAll(async () => {
  system = await startSystem({
    agents: [
      {
        name: 'greeter',
        identity: 'agent',
        command: ['agents/main.js', '--agent-id', 'greeter', '--transport', 'kafka', '--capabilities', 'echo'],
      },
      agent('office', 'kafka', [
        ...['list-documents', 'merge-summaries', 'charge-card'],
        ...['write-text', 'succeed-later', 'await-sign'],
      ]),
      agent('crew-1', 'rabbitmq', crew),
      agent('crew-2', 'rabbitmq', crew),
      agent('lone', 'rabbitmq', ['never-answer', 'say'], 1),
    ],
  });
  jonas = await system.session('jonas');
  plans = plansAs(system, jonas);
  coordinator = agentsAsAdmin(system);
  const token = join(world.secrets, 'payments', 'live-token');
  mkdirSync(dirname(token), { recursive: true });
  writeFileSync(token, 'only-the-bank-reads-this');
}, 120_000);
afterAll(async () => {
  plans.close();
  coordinator.close();
  await system.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

let started = 0;
const start = async (name: string, document: string, inputs: JsonObject = {}): Promise<string> => {
  const planId = `${name}-${Date.now().toString(36)}-${started++}`;
  await plans.startPlan({ planId, plan: { source: { case: 'document', value: document } }, inputs });
  return planId;
};
const startTasks = (name: string, tasks: readonly object[], more: object = {}): Promise<string> =>
  start(name, JSON.stringify({ name, tasks, ...more }));

/** Watches the plan until it, or one of its tasks, is in that state. */
async function reaches(
  planId: string,
  wanted: (now: { readonly plan?: JsonObject; readonly tasks: ReadonlyMap<string, string> }) => boolean,
): Promise<JsonObject> {
  const states = new Map<string, string>();
  let plan: JsonObject | undefined;
  for await (const { event } of plans.watchPlan({ planId }, { timeoutMs: 40_000 })) {
    if (event.case !== 'snapshot' && event.case !== 'change') continue;
    if (event.value.plan) plan = toJson(PlanSummarySchema, event.value.plan) as JsonObject;
    for (const { id, state } of event.value.tasks) states.set(id, state);
    if (wanted({ ...(plan && { plan }), tasks: states })) return plan ?? {};
  }
  throw new Error(`the watch of ${planId} ended: ${JSON.stringify([plan, ...states])}`);
}
const end = (planId: string): Promise<JsonObject> =>
  reaches(planId, ({ plan }) => ['succeeded', 'failed', 'cancelled'].some((state) => state === plan?.['state']));
const becomes = (planId: string, taskId: string, state: string): Promise<JsonObject> =>
  reaches(planId, ({ tasks }) => tasks.get(taskId) === state);
const taskOf = async (planId: string, taskId: string): Promise<Task> =>
  toJson(GetTaskResponseSchema, await plans.getTask({ planId, taskId })) as unknown as Task;
const statesOf = async (planId: string): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries((await plans.getPlan({ planId })).tasks.map(({ id, state }) => [id, state]));

describe('the examples', () => {
  it('are all run here', () => {
    expect(readdirSync(plansFolder).sort()).toEqual(['hello.plan.yaml', 'map-reduce.plan.yaml', 'trip-saga.plan.yaml']);
  });

  it('hello: is the same plan as text over REST and as a message over gRPC', async () => {
    const planId = `hello-${Date.now().toString(36)}`;
    const document = example('hello');
    expect(await jonas.post('/v1/plans', { planId, plan: { document }, inputs: {} })).toMatchObject({ created: true });
    const message = fromJson(PlanSchema, readPlanSource(document).value as JsonValue);
    const again = await plans.startPlan({ planId, plan: { source: { case: 'plan', value: message } }, inputs: {} });
    expect(again.created).toBe(false);
    expect(await end(planId)).toMatchObject({ state: 'succeeded', counts: { succeeded: 1 } });
    expect(await taskOf(planId, 'greet')).toMatchObject({ output: {} });
  }, 60_000);

  describe('map-reduce', () => {
    const documents = (name: string, texts: readonly string[]): string => {
      const place = join(folder, name);
      mkdirSync(place);
      texts.forEach((text, at) => {
        writeFileSync(join(place, `${String(at).padStart(2, '0')}.txt`), text);
      });
      return place;
    };
    const texts = (count: number): readonly string[] =>
      Array.from({ length: count }, (_, at) => `Text ${at} begins. It goes on${' and on'.repeat(at)}.`);

    it('summarises each document of a folder, and goes on without one of twelve', async () => {
      const planId = await start('map-reduce', example('map-reduce'), {
        folder: documents('one-empty', ['', ...texts(11)]),
      });
      const plan = await end(planId);
      expect(plan).toMatchObject({
        state: 'succeeded',
        result: `11 read, 1 not: ${texts(11)
          .map((_, at) => `Text ${at} begins.`)
          .join(' ')}`,
      });
      expect(await taskOf(planId, 'summarise.0')).toMatchObject({
        task: { title: 'Summarise document 1', state: 'failed', failure: { type: 'NothingToSummarise' } },
      });
      // In the order of the documents, whichever of two agents was quicker.
      const items = await Promise.all(texts(12).map((_, at) => taskOf(planId, `summarise.${at}`)));
      expect(items.map(({ output }) => (output as { words: number } | undefined)?.words)).toEqual([
        undefined,
        ...texts(11).map((text) => text.split(' ').length),
      ]);
    }, 60_000);

    it('fails when more documents than tolerated cannot be summarised', async () => {
      const planId = await start('map-reduce', example('map-reduce'), {
        folder: documents('two-empty', ['', '', ...texts(10)]),
      });
      expect(await end(planId)).toMatchObject({ state: 'failed', failure: { type: 'NothingToSummarise' } });
      expect((await statesOf(planId))['merge']).toBe('cancelled');
    }, 60_000);
  });

  describe('trip-saga', () => {
    const trip = (inputs: JsonObject): Promise<string> =>
      start('trip-saga', example('trip-saga'), { traveller: 'Ana', from: 'Berlin', to: 'Lisbon', ...inputs });
    const standing = (planId: string): readonly string[] =>
      bookings.standing().flatMap((key) => (key.startsWith(planId) ? [key.slice(planId.length + 1)] : []));

    it.each([
      ['without a car', {}, 'none', ['flight', 'hotel', 'pay'], 500],
      ['with a car', { wantsCar: true }, 'booked', ['car', 'flight', 'hotel', 'pay'], 700],
      ['where there is no car', { wantsCar: true, to: 'Venice' }, 'none', ['flight', 'hotel', 'pay'], 500],
    ] as const)(
      'books a trip %s and pays for it',
      async (_name, inputs, car, booked, charged) => {
        const planId = await trip(inputs);
        expect(await end(planId)).toMatchObject({ state: 'succeeded', result: { car }, compensation: 'none' });
        expect(standing(planId)).toEqual(booked);
        expect(await taskOf(planId, 'pay')).toMatchObject({ output: { charged } });
      },
      60_000,
    );

    it('leaves no flight booked when there is no room in the hotel', async () => {
      const planId = await trip({ to: 'Atlantis' });
      expect(await end(planId)).toMatchObject({
        state: 'failed',
        compensation: 'done',
        failure: { type: 'FullyBooked' },
      });
      expect(standing(planId)).toEqual([]);
      expect(await statesOf(planId)).toMatchObject({ hotel: 'compensated', pay: 'cancelled' });
    }, 60_000);

    it('leaves nothing booked when the card is declined, and undoes in reverse', async () => {
      const planId = await trip({ traveller: 'Tom', wantsCar: true });
      expect(await end(planId)).toMatchObject({
        state: 'failed',
        compensation: 'done',
        failure: { type: 'CardDeclined' },
      });
      expect(standing(planId)).toEqual([]);
      const deeds = bookings
        .journal()
        .filter(({ key }) => key.startsWith(planId))
        .map(({ deed, key }) => `${deed} ${key.slice(planId.length + 1)}`);
      expect([...deeds].sort()).toEqual(
        ['booked', 'cancelled'].flatMap((deed) => ['car', 'flight', 'hotel'].map((what) => `${deed} ${what}`)),
      );
      // The car was booked for who has a flight, so it goes first.
      expect(deeds.indexOf('cancelled car')).toBeLessThan(deeds.indexOf('cancelled flight'));
      const { attempts } = await taskOf(planId, 'flight');
      expect(attempts?.map(({ failure }) => failure?.type)).toEqual([undefined, 'LineBusy', undefined]);
      expect((await taskOf(planId, 'pay')).attempts).toHaveLength(1);
    }, 60_000);
  });
});

describe('the ways of a task', () => {
  it('hands a result of more than 4 KiB on as a document, from one bus to the other', async () => {
    const planId = await startTasks(
      'large',
      [
        { id: 'write', capability: 'write-text', with: { words: 5000 } },
        { id: 'read', capability: 'read-text', needs: ['write'], with: { document: '${{ tasks.write.output }}' } },
      ],
      { result: '${{ tasks.read.output }}' },
    );
    expect(await end(planId)).toMatchObject({ state: 'succeeded', result: { words: 5000, last: 'word4999' } });
    const { output } = await taskOf(planId, 'write');
    expect(output).toMatchObject({
      mediaType: 'application/json',
      artifact: expect.stringMatching(/^sha256:/) as string,
    });
    expect((await taskOf(planId, 'read')).arguments).toEqual({ document: output });
  }, 60_000);

  it('tries again what failed, and counts each attempt', async () => {
    const planId = await startTasks('again', [{ id: 'later', capability: 'succeed-later' }]);
    expect((await end(planId))['state']).toBe('succeeded');
    const { attempts } = await taskOf(planId, 'later');
    expect(attempts?.map(({ failure }) => failure?.type)).toEqual(['LineBusy', undefined]);
  }, 60_000);

  it('goes on without an agent that never answers, which then takes other tasks', async () => {
    const planId = await startTasks(
      'silent',
      [
        {
          id: 'silent',
          capability: 'never-answer',
          timeout: '2s',
          retry: { maxAttempts: 2, initialInterval: '1ms' },
          onFailure: 'continue',
        },
        { id: 'useless', capability: 'say', needs: ['silent'], with: { text: 'never said' } },
        {
          id: 'instead',
          capability: 'say',
          after: ['silent'],
          when: '${{ tasks.silent.status == "failed" }}',
          with: { text: '${{ tasks.silent.failure.type }}' },
        },
      ],
      { result: '${{ tasks.instead.output.said }}' },
    );
    expect(await end(planId)).toMatchObject({ state: 'succeeded', result: 'Timeout' });
    const { attempts } = await taskOf(planId, 'silent');
    expect(attempts?.map(({ failure }) => failure?.type)).toEqual(['Timeout', 'Timeout']);
    expect(await taskOf(planId, 'useless')).toMatchObject({
      task: { state: 'skipped', reason: 'needs silent, which did not succeed' },
    });
  }, 60_000);

  it('undoes the task of an agent that never answers when the plan fails by it', async () => {
    const key = `silent-booking-${Date.now()}`;
    bookings.enter('booked', key);
    const planId = await startTasks('silent-failure', [
      {
        id: 'silent',
        capability: 'never-answer',
        timeout: '2s',
        retry: { maxAttempts: 1 },
        compensation: { capability: 'cancel-booking', with: { key } },
      },
    ]);
    expect(await end(planId)).toMatchObject({ state: 'failed', compensation: 'done', failure: { type: 'Timeout' } });
    expect(bookings.standing()).not.toContain(key);
  }, 60_000);

  it('ends by its deadline a task that was taken by who never even begins', async () => {
    const config = rabbitmqConfig.parse(system.stack.identities.agent);
    const rabbitmq = createRabbitMq(config);
    try {
      const capability = 'fall-silent';
      const registration = cloudEvent('agentRegistered', {
        source: 'aats/agent/hole',
        data: { agentId: 'hole', transport: 'rabbitmq', capacity: 1, capabilities: [{ name: capability }] },
      });
      await publishConfirmed(
        await rabbitmq.publisher(),
        exchanges.topic,
        'responses.hole',
        Buffer.from(JSON.stringify(registration)),
        { messageId: registration.id, contentType: 'application/cloudevents+json', type: registration.type },
      );
      const taken: string[] = [];
      // There is a queue once the coordinator knows the agent.
      await new Promise<void>((listening) => {
        rabbitmq.consume(async (channel) => {
          await channel.consume(queues.tasks(capability), (message) => {
            if (!message) return;
            taken.push(readEvent(message.content, ['taskDispatched']).data.planId);
            channel.ack(message);
          });
          listening();
        });
      });
      const planId = await startTasks('never-begun', [
        { id: 'lost', capability, deadline: '2s', timeout: '1s', onFailure: 'continue' },
        { id: 'instead', capability: 'say', after: ['lost'], with: { text: '${{ tasks.lost.failure.type }}' } },
      ]);
      await until(
        () => Promise.resolve(taken),
        (planIds) => planIds.includes(planId),
        30,
      );
      expect(await end(planId)).toMatchObject({ state: 'succeeded', counts: { failed: 1, succeeded: 1 } });
      expect((await taskOf(planId, 'instead')).output).toEqual({ said: 'DeadlineExceeded' });
    } finally {
      await rabbitmq.close();
    }
  }, 60_000);

  it('starts nothing while it is paused, lets running tasks finish, and goes on when it is resumed', async () => {
    const sign = `sign-${Date.now()}`;
    const planId = await startTasks('paused', [
      { id: 'runs', capability: 'await-sign', with: { sign } },
      { id: 'waits', capability: 'say', needs: ['runs'], with: { text: 'at last' } },
    ]);
    await becomes(planId, 'runs', 'running');
    expect((await plans.pausePlan({ planId, reason: 'lunch' })).plan?.state).toBe('paused');
    writeFileSync(join(world.signs, sign), '');
    await becomes(planId, 'runs', 'succeeded');
    // Another plan goes all the way meanwhile: what would have started had its chance.
    expect(
      (await end(await startTasks('meanwhile', [{ id: 'a', capability: 'say', with: { text: 'hm' } }])))['state'],
    ).toBe('succeeded');
    const { plan, tasks } = toJson(GetPlanResponseSchema, await plans.getPlan({ planId })) as unknown as {
      plan: { state: string };
      tasks: { id: string; state: string }[];
    };
    expect(plan.state).toBe('paused');
    expect(tasks.find(({ id }) => id === 'waits')?.state).toBe('pending');
    expect((await plans.resumePlan({ planId })).plan?.state).toBe('running');
    expect((await end(planId))['state']).toBe('succeeded');
    expect((await taskOf(planId, 'waits')).output).toEqual({ said: 'at last' });
  }, 60_000);
});

describe('an agent that is one file of Python without any SDK', () => {
  const file = join(packageRoot, 'examples', 'python-agent', 'agent.py');
  const countWords = async (text: string): Promise<JsonObject> =>
    end(
      await startTasks('python', [{ id: 'count', capability: 'count-words', with: { text } }], {
        result: '${{ tasks.count.output }}',
      }),
    );

  it('has less than 100 lines', () => {
    expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThan(100);
  });

  it('does its tasks, goes on when the broker and the coordinator were killed, and ends when it is to drain', async () => {
    const {
      AATS_RABBITMQ_URL = '',
      AATS_RABBITMQ_PASSWORD_FILE = '',
      AATS_SERVERS_CA_FILE = '',
    } = system.stack.identities.agent;
    const [venv, run] = [join(folder, 'venv'), promisify(execFile)];
    await run('python3', ['-m', 'venv', venv]);
    await run(join(venv, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', 'pika==1.3.2'], {
      timeout: 120_000,
    });
    const python = execFile(join(venv, 'bin', 'python'), [file], {
      env: { AATS_RABBITMQ_URL, AATS_RABBITMQ_PASSWORD_FILE, AATS_SERVERS_CA_FILE, AATS_AGENT_ID: 'python-1' },
    });
    try {
      expect(await countWords('one two three')).toMatchObject({ state: 'succeeded', result: { words: 3 } });
      await system.supervisor.kill('communication-coordinator');
      await killAndStart(system, rabbitmq);
      expect(await countWords('one two three four')).toMatchObject({ state: 'succeeded', result: { words: 4 } });
      expect(python.exitCode).toBeNull();
      const ended = new Promise((resolve) => python.once('exit', resolve));
      // It took the task from its queue; that it is there again is known from its next sign of life.
      await until(
        () => coordinator.drainAgent({ agentId: 'python-1' }).catch(() => undefined),
        (answer) => answer !== undefined,
        30,
      );
      expect(await ended).toBe(0);
    } finally {
      python.kill('SIGTERM');
    }
  }, 300_000);
});
