import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { Command } from 'commander';
import { dataConverter } from '../services/runtime/payload-codec';
import { type AppProcess, services, supervised, untilReady } from '../stack/app';
import { createStackContext, defaultDataDir } from '../stack/context';
import { readPortOffset } from '../stack/options';
import { packageRoot } from '../stack/package-root';
import { runningPid } from '../stack/processes';
import { setUpApplication } from '../stack/set-up';
import { createSupervisor, stopLeftovers } from '../stack/supervisor';
import { bringUp, takeDown } from '../stack/up';
import type { PlanDefinition } from '../workflows/contracts/plan-definition';
import { planWorkflowId } from '../workflows/contracts/plan';
import { validatePlan } from '../workflows/plan-language';
import { cpuSeconds, median } from './process-time';

interface Options {
  readonly portOffset: number;
  readonly dataDir: string;
  readonly rounds: string;
}
interface Measured {
  readonly seconds: number;
  readonly events: number;
  readonly cpu: Readonly<Record<string, number>>;
}

const program = new Command('bench').description('what README and docs quote is measured here');
program
  .command('plan')
  .description('a plan through Kafka and a real agent, beside a bare Temporal workflow with an activity a task')
  .option('--port-offset <n>', 'move every port', readPortOffset, 0)
  .option('--data-dir <path>', 'where the data is', join(defaultDataDir(), '..', 'bench'))
  .option('--rounds <n>', 'of each; the median counts', '3')
  .action((options: Options) => benchPlan(options));
void program.parseAsync();

const echoAgent: AppProcess = {
  name: 'bench-echo',
  identity: 'agent',
  command: [
    'agents/main.js',
    '--agent-id',
    'bench-echo',
    '--transport',
    'kafka',
    '--capacity',
    '1000',
    '--capabilities',
    'echo',
  ],
};
/** The code of a process is compiled as it runs: both get the same number of rounds before any counts. */
const warmUpRounds = 3;
const needed = ['database-controller', 'communication-coordinator', 'worker-plans', 'worker-data'];

async function benchPlan({ portOffset, dataDir, rounds }: Options): Promise<void> {
  const ctx = await createStackContext({ portOffset, dataDir });
  const supervisor = createSupervisor(ctx.dataDir);
  const stop = async (): Promise<void> => {
    await supervisor.stopAll(10);
    await takeDown(ctx);
  };
  process.once('SIGINT', () => void stop().finally(() => process.exit(130)));
  try {
    const stack = await bringUp(ctx);
    const { agentEnvironment } = await setUpApplication(ctx, stack);
    const apps = services.filter(({ name }) => needed.includes(name));
    await stopLeftovers(ctx.dataDir, [...needed, 'bench-echo', 'bench-bare']);
    const dist = join(packageRoot, 'dist');
    for (const app of apps) supervisor.start(supervised(app, stack, dist));
    const caFile = stack.identities.cli['AATS_CA_FILE'] ?? '';
    await Promise.all(apps.flatMap(({ ready }) => (ready ? [untilReady(ready(stack), caFile, 60)] : [])));
    supervisor.start(supervised({ ...echoAgent, env: agentEnvironment }, stack, dist));
    supervisor.start({
      name: 'bench-bare',
      command: [join(dist, 'bench', 'bare-worker.js')],
      env: { ...stack.identities['worker-data'] },
    });

    const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = '' } = stack.identities.admin;
    const connection = await Connection.connect({ address });
    const client = new Client({ connection, namespace, dataConverter });
    const processes = (): Record<string, number> => ({
      temporal: cpuSeconds(runningPid(ctx.dataDir, 'temporal')),
      kafka: cpuSeconds(runningPid(ctx.dataDir, 'kafka')),
      worker: cpuSeconds(supervisor.pid('worker-plans')),
      coordinator: cpuSeconds(supervisor.pid('communication-coordinator')),
      agent: cpuSeconds(supervisor.pid('bench-echo')),
      'bare worker': cpuSeconds(supervisor.pid('bench-bare')),
    });
    const measure = async (
      start: () => Promise<{ result(): Promise<unknown>; describe(): Promise<{ historyLength: number }> }>,
    ): Promise<Measured> => {
      const [cpuBefore, begun] = [processes(), process.hrtime.bigint()];
      const handle = await start();
      await handle.result();
      const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
      const { historyLength } = await handle.describe();
      const cpuAfter = processes();
      return {
        seconds,
        events: historyLength,
        cpu: Object.fromEntries(
          Object.entries(cpuAfter).map(([name, after]) => [name, after - (cpuBefore[name] ?? 0)]),
        ),
      };
    };
    const bare = (width: number, layers: number) =>
      measure(() =>
        client.workflow.start('bareWorkflow', {
          taskQueue: 'bench-bare',
          workflowId: `bench/${Date.now()}`,
          args: [width, layers],
        }),
      );
    const ours = (width: number, layers: number) =>
      measure(() => {
        const planId = `bench-${Date.now()}`;
        return client.workflow.start('planWorkflow', {
          taskQueue: 'plans',
          workflowId: planWorkflowId(planId),
          args: [
            {
              planId,
              plan: benchmarkPlan(width, layers),
              inputs: {},
              owner: 'bench',
              startedAt: new Date().toISOString(),
              contentDigest: 'bench',
            },
          ],
        });
      });

    for (const [name, width, layers] of [
      ['1,000 at once', 1000, 1],
      ['10 layers of 10', 10, 10],
    ] as const) {
      for (let round = 0; round < warmUpRounds; round++) {
        await bare(width, layers);
        await ours(width, layers);
      }
      const results: { bare: Measured[]; ours: Measured[] } = { bare: [], ours: [] };
      for (let round = 0; round < Number(rounds); round++) {
        results.bare.push(await bare(width, layers));
        results.ours.push(await ours(width, layers));
      }
      report(name, width * layers, results);
    }
    await connection.close();
  } finally {
    await stop();
  }
}

function benchmarkPlan(width: number, layers: number): PlanDefinition {
  const tasks = Array.from({ length: width * layers }, (_, at) => {
    const layer = Math.floor(at / width);
    const needs = layer === 0 ? [] : Array.from({ length: width }, (_unused, n) => `t${(layer - 1) * width + n}`);
    return { id: `t${at}`, capability: 'echo', with: { n: at }, ...(needs.length > 0 && { needs }) };
  });
  const { plan, problems } = validatePlan({ name: 'bench', tasks });
  if (!plan) throw new Error(JSON.stringify(problems));
  return plan;
}

function report(
  name: string,
  tasks: number,
  { bare, ours }: { readonly bare: readonly Measured[]; readonly ours: readonly Measured[] },
): void {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const line = (label: string, all: readonly Measured[]): number => {
    const seconds = median(all.map((one) => one.seconds));
    const rate = tasks / seconds;
    const cpu = Object.keys(all[0]?.cpu ?? {}).map(
      (process) => `${process} ${((median(all.map((one) => one.cpu[process] ?? 0)) / tasks) * 1000).toFixed(2)}`,
    );
    say(
      `  ${label.padEnd(6)} ${rate.toFixed(0).padStart(7)} tasks/s   ${(median(all.map((one) => one.events)) / tasks).toFixed(3)} events a task   ${all.map((one) => `${(one.seconds * 1000).toFixed(0)} ms`).join(', ')}`,
    );
    say(`         CPU s a 1,000 tasks: ${cpu.join(', ')}`);
    return rate;
  };
  say(`${name} (median of ${bare.length}, interleaved)`);
  const before = line('bare', bare);
  const after = line('AATS', ours);
  say(`  AATS is ${(after / before).toFixed(2)} times as fast as bare\n`);
}
