import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freshMs } from '../../agents/sdk/agent';
import type { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import type { ProjectManager } from '../../proto/aats/project/v1/project_pb';
import type { GrpcClient } from '../../services/runtime/grpc-client';
import type { AppProcess } from '../../stack/app';
import type { PlanAnswer } from '../../stack/demo-plan';
import type { RestSession } from '../../stack/rest-session';
import { worldOf } from '../support/example-capabilities';
import { startSystem, type System, until } from '../support/system';
import { agentsAsAdmin, plansAs } from '../support/system-clients';

const folder = mkdtempSync(join(tmpdir(), 'aats-buses-'));
const world = worldOf(folder);
const walker = (transport: 'kafka' | 'rabbitmq'): AppProcess => ({
  name: `walker-${transport}`,
  identity: 'agent',
  command: [
    'test/support/example-agent.js',
    ...['--agent-id', `walker-${transport}`, '--transport', transport, '--capacity', '1'],
    ...['--capabilities', 'walk', '--folder', folder],
  ],
});

let system: System;
let jonas: RestSession;
let plans: GrpcClient<typeof ProjectManager>;
let coordinator: GrpcClient<typeof CommunicationCoordinator>;
beforeAll(async () => {
  system = await startSystem({ agents: [] });
  jonas = await system.session('jonas');
  plans = plansAs(system, jonas);
  coordinator = agentsAsAdmin(system);
}, 120_000);
afterAll(async () => {
  plans.close();
  coordinator.close();
  await system.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

const walk = (id: string, input: object = {}, more: object = {}): object => ({
  id,
  capability: 'walk',
  heartbeat: '1s',
  with: input,
  ...more,
});
const becomes = (planId: string, state: string): Promise<unknown> =>
  until(
    async () => (await jonas.get(`/v1/plans/${planId}`)) as PlanAnswer,
    ({ tasks }) => tasks[0]?.state === state,
    90,
  );
const cancelled = async (planId: string): Promise<string> => {
  await jonas.post(`/v1/plans/${planId}/cancel`, {});
  return (await system.planEnd(planId, 90)).plan.state;
};
const deeds = (planId: string): readonly string[] => {
  const file = join(world.walks, planId);
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
};
const progressOf = async (planId: string): Promise<unknown> => {
  for await (const { event } of plans.watchPlan({ planId }, { timeoutMs: 90_000 }))
    if (event.case === 'progress') return [event.value.taskId, event.value.message, event.value.percent];
  return undefined;
};
const tasksOnBus = async (): Promise<unknown> => (await coordinator.listAgents({ capability: 'walk' })).queued['walk'];

describe('one capability over either bus', () => {
  const seen = new Map<string, unknown>();

  it.each(['kafka', 'rabbitmq'] as const)(
    'tells its progress, brings results and documents, stops, and begins nothing cancelled, over %s',
    async (transport) => {
      const beforeAgents = await system.startPlan('early', [walk('a')]);
      await becomes(beforeAgents, 'dispatched');
      expect(await cancelled(beforeAgents)).toBe('cancelled');

      system.startAgent(walker(transport));
      const planId = await system.startPlan('walk', [
        walk('there', { sign: transport }),
        walk('back', { picture: '${{ tasks.there.output.picture }}' }, { needs: ['there'] }),
      ]);
      const progress = await progressOf(planId);
      const behindIt = await system.startPlan('late', [walk('a')]);
      await becomes(behindIt, 'dispatched');
      expect(await cancelled(behindIt)).toBe('cancelled');
      await pause(2 * freshMs);
      writeFileSync(join(world.signs, transport), '');
      const end = await system.planEnd(planId, 90);

      const inTheMiddle = await system.startPlan('stopped', [walk('a', { sign: 'never' })]);
      await becomes(inTheMiddle, 'running');
      expect(await cancelled(inTheMiddle)).toBe('cancelled');

      await until(tasksOnBus, (count) => count === 0n, 90);
      expect([beforeAgents, behindIt, inTheMiddle].map(deeds)).toEqual([[], [], ['began', 'stopped']]);
      const outputs = await Promise.all(
        ['there', 'back'].map(
          async (id) => ((await jonas.get(`/v1/plans/${planId}/tasks/${id}`)) as { output: unknown }).output,
        ),
      );
      seen.set(transport, { progress, state: end.plan.state, deeds: deeds(planId), outputs });
      await system.supervisor.stop(walker(transport).name);
    },
    300_000,
  );

  it('is the same to the plan', () => {
    expect(seen.get('kafka')).toEqual(seen.get('rabbitmq'));
    expect(seen.get('kafka')).toMatchObject({
      progress: ['there', 'half of the way', 50],
      state: 'succeeded',
      deeds: ['began', 'ended', 'began', 'ended'],
      outputs: [
        { seen: 2, picture: { name: 'picture.txt', mediaType: 'text/plain' } },
        { seen: 4, picture: { size: 14 } },
      ],
    });
  });
});
