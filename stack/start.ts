import { readFileSync } from 'node:fs';
import { cpus, freemem } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { CommunicationCoordinator } from '../proto/aats/communication/v1/communication_pb';
import { createGrpcClient } from '../services/runtime/grpc-client';
import { leavesOf } from '../services/runtime/plan-figures';
import { clientCredentials, readTls } from '../services/runtime/tls';
import { isEnded } from '../workflows/plan-state';
import { type AppProcess, demoAgents, services, supervised, untilReady } from './app';
import { withLock } from './cache';
import { createStackContext, defaultDataDir } from './context';
import { currentCode, type DemoPerson } from './demo-codes';
import { followPlan, hasEnded, type PlanAnswer, startExample } from './demo-plan';
import { readBrokers, readPortOffset } from './options';
import { packageRoot } from './package-root';
import { signInAs } from './rest-session';
import { doctor } from './doctor';
import { bannerLines, minutes } from './start-banner';
import { columns, paint, say, step, type Tell } from './start-steps';
import { ownServers } from './servers';
import { setUpApplication } from './set-up';
import type { StackFile } from './stack-file';
import { createSupervisor, stopLeftovers, type Supervisor } from './supervisor';
import { isRoot } from './system-users';
import type { Server, StackContext } from './server';
import { bringUp, type Phase, takeDown } from './up';

interface Options {
  readonly unattended?: boolean;
  readonly portOffset: number;
  readonly brokers?: 1 | 3;
  readonly dataDir: string;
}
const options = new Command('start')
  .option('--unattended', 'answer the approval as a person would, wait for the end, stop everything')
  .option('--port-offset <n>', 'move every port', readPortOffset, 0)
  .option('--brokers <n>', 'Kafka brokers: 1, or 3 for replication 3', readBrokers)
  .option('--data-dir <path>', 'where the data is', defaultDataDir())
  .parse()
  .opts<Options>();

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { readonly version: string };
const begun = Date.now();

const stopping = new AbortController();
async function main(): Promise<number> {
  say(
    `\n  ${paint('bold', 'AATS')} ${version}${paint('dim', `   Node ${process.versions.node}, ${cpus().length} cores, ${(freemem() / 1024 ** 3).toFixed(1)} GiB of memory free`)}\n`,
  );
  const ctx = await createStackContext(options);
  const runsAlready = (pid: number): Error =>
    new Error(
      `AATS runs already on ${ctx.dataDir}, as process ${pid}: stop it there with Ctrl-C, or start another one with --data-dir PATH --port-offset N`,
    );
  const work = async (): Promise<number> => {
    const names = [...services, ...demoAgents].map(({ name }) => name);
    await step('Prerequisites found', async () => {
      const findings = await doctor();
      const missing = findings.filter(({ ok }) => !ok);
      if (missing.length > 0) throw new Error(missing.map(({ name, detail }) => `${name}: ${detail}`).join('\n'));
      const left = await stopLeftovers(ctx.dataDir, names);
      return {
        note:
          left.length > 0
            ? `ended what a crashed run left: ${left.join(', ')}`
            : findings
                .slice(0, 5)
                .map(({ name }) => name)
                .join(', '),
        value: undefined,
      };
    });
    let supervisor: Supervisor | undefined;
    try {
      const servers = ownServers(process.env);
      const stack = await startServers(
        ctx,
        servers.filter(({ isForPeople }) => !isForPeople),
      );
      const forPeople = bringUp(ctx, {
        only: servers.flatMap(({ name, isForPeople }) => (isForPeople ? [name] : [])),
        signal: stopping.signal,
      });
      forPeople.catch(() => undefined); // awaited before the banner; a failure before that must not go unhandled
      const { people, agentEnvironment } = await step('Set up', async () => {
        const value = await setUpApplication(ctx, stack);
        const asRoot = isRoot() && value.agentEnvironment['AATS_PROGRAM_USER'] === undefined;
        return {
          note: `tables, people, keys${asRoot ? `; programs of tasks run as root, for ${process.execPath} is closed to others` : ''}`,
          value,
        };
      });
      stopping.signal.throwIfAborted();
      supervisor = createSupervisor(ctx.dataDir, {
        onExit: (name, code) => {
          if (!stopping.signal.aborted)
            say(
              paint(
                'red',
                `  ■ ${name} ended (${code ?? 'killed'}) and is started again; its log: npm run stack -- logs ${name}`,
              ),
            );
        },
      });
      const running = supervisor;
      await step('Services and workers', async (tell) => {
        tell(services.map(({ name }) => name).join(', '));
        for (const app of services) running.start(supervised(app, stack, join(packageRoot, 'dist')));
        await Promise.all(services.map((app) => ready(app, stack)));
        const workers = services.filter(({ name }) => name.startsWith('worker')).length;
        return {
          note:
            columns < 110
              ? `${services.length - workers} services, ${workers} workers`
              : services.map(({ name }) => name).join(', '),
          value: undefined,
        };
      });
      await step('Agents', async () => {
        for (const app of demoAgents)
          running.start(supervised({ ...app, env: agentEnvironment }, stack, join(packageRoot, 'dist')));
        await untilRegistered(
          stack,
          demoAgents.map(({ name }) => name),
        );
        return { note: `${demoAgents.length} processes on Kafka and RabbitMQ`, value: undefined };
      });
      const [approver, , starter] = people;
      if (!approver || !starter) throw new Error('the demo people are missing');
      return await runExample(stack, people, approver, starter, forPeople);
    } finally {
      say(paint('dim', '\n  stopping'));
      const from = Date.now();
      await supervisor?.stopAll(12);
      await takeDown(ctx);
      say(
        `  ${paint('green', '✓')} everything stopped in ${minutes(Date.now() - from)}; the data is kept in ${ctx.dataDir}`,
      );
    }
  };
  return withLock(join(ctx.dataDir, 'run', 'start.lock'), work, runsAlready);
}

const phaseWords: Record<Phase, string> = { install: 'fetching', start: 'starting', provision: 'setting up' };

/** Fetched and started side by side, so one step each for all of them: the first ends with the last one fetched. */
async function startServers(ctx: StackContext, servers: readonly Server[]): Promise<StackFile> {
  const names = servers.map(({ name }) => name);
  const open = new Map<string, Phase>();
  let fetched = 0;
  let answering = 0;
  let allFetched: () => void = () => undefined;
  const fetching = new Promise<void>((resolve) => (allFetched = resolve));
  let tell: Tell = () => undefined;
  const show = (): void => {
    tell([...open].map(([name, phase]) => `${phaseWords[phase]} ${name}`).join(', '));
  };
  const up = bringUp(ctx, {
    only: names,
    signal: stopping.signal,
    progress: {
      begun: (server, phase) => {
        open.set(server.name, phase);
        show();
      },
      done: (server, phase, took) => {
        open.delete(server.name);
        if (phase === 'install' && ++fetched === names.length) allFetched();
        if (phase === 'provision') answering += 1;
        show();
        if (!process.stdout.isTTY && took > 2000) say(`      ${server.name} ${phase} ${minutes(took)}`);
      },
    },
  });
  await step('Servers fetched', async (say) => {
    tell = say;
    await Promise.race([fetching, up]);
    const where = columns < 110 ? '' : ` in ${ctx.cacheDir}`;
    return { note: `${fetched} of ${names.length}, kept for the next time${where}`, value: undefined };
  });
  return step('Servers started', async (say) => {
    tell = say;
    show();
    const file = await up;
    return { note: columns < 110 ? `${answering}, all answer` : names.join(', '), value: file };
  });
}

async function runExample(
  stack: StackFile,
  people: readonly DemoPerson[],
  approver: DemoPerson,
  starter: DemoPerson,
  forPeople: Promise<unknown>,
): Promise<number> {
  const session = await signInAs(stack, starter);
  const progressOf = ({ plan, tasks }: PlanAnswer): string => {
    const own = leavesOf(tasks);
    const done = own.filter(isEnded).length;
    return `${planPhrase(plan.state)}${done} of ${own.length} tasks`;
  };
  const follow =
    (tell: Tell) =>
    (reached: PlanAnswer): void => {
      if (process.stdout.isTTY) tell(progressOf(reached));
      else say(`      ${reached.plan.planId} ${progressOf(reached)}`);
    };
  const { planId, answer } = await step('Example plan', async (tell) => {
    const id = await startExample(stack, session);
    const reached = await followPlan(
      session,
      id,
      (one) => hasEnded(one) || one.plan.waitingFor.length > 0 || stopping.signal.aborted,
      follow(tell),
      900,
    );
    const waits = reached.plan.waitingFor.length > 0;
    return {
      note: `${progressOf(reached)}${waits ? ', now it asks you' : ''}`,
      waits,
      value: { planId: id, answer: reached },
    };
  });
  stopping.signal.throwIfAborted(); // Ctrl-C while it ran: nothing is ready, and nothing is waited for
  await step('Temporal UI', async (tell) => {
    tell('built from source on the first start');
    await forPeople;
    return { note: 'read only', value: undefined };
  });
  const banner = bannerLines({
    columns,
    paint,
    stack,
    people,
    planId,
    approvalId: answer.plan.waitingFor[0]?.approvalId,
    readyMs: Date.now() - begun,
  });
  say(`\n${banner.join('\n')}`);
  if (!options.unattended) {
    await untilStopped(people);
    return 0;
  }
  if (!hasEnded(answer)) await approve(stack, approver, answer.plan.waitingFor[0]?.approvalId ?? '');
  const end = await step('The rest of the plan', async (tell) => {
    const value = await followPlan(
      session,
      planId,
      (one) => hasEnded(one) || stopping.signal.aborted,
      follow(tell),
      900,
    );
    return { note: value.plan.state, value };
  });
  say('');
  for (const task of end.tasks.filter(({ id }) => !id.includes('.')))
    say(
      `  ${task.state === 'succeeded' ? paint('green', '✓') : paint('red', '■')} ${task.title.padEnd(52)} ${task.state}${task.failure ? `  ${task.failure.type}: ${task.failure.message}` : ''}`,
    );
  say(
    `\n  ${planId} ${end.plan.state}${end.plan.failure ? `: ${end.plan.failure.type}: ${end.plan.failure.message}` : ''}`,
  );
  if (end.plan.result !== undefined) say(`  result ${JSON.stringify(end.plan.result)}`);
  return end.plan.state === 'succeeded' ? 0 : 1;
}

/** Answers as a person does: signs in with both factors, looks at the request, and approves just what was shown. */
async function approve(stack: StackFile, person: DemoPerson, approvalId: string): Promise<void> {
  await step(`${person.displayName} approves`, async () => {
    const session = await signInAs(stack, person);
    const request = (await session.get(`/v1/approvals/${approvalId}`)) as {
      readonly digest: string;
      readonly approval: { readonly title: string };
    };
    const answer = (await session.post(`/v1/approvals/${approvalId}/decision`, {
      decision: {
        decisionId: `unattended-${Date.now()}`,
        choice: 'approve',
        reason: 'unattended run',
        digest: request.digest,
      },
    })) as { readonly outcome: { readonly status: string } };
    return { note: `${request.approval.title} ${answer.outcome.status}`, value: undefined };
  });
}

const planPhrase = (state: string): string => (state === 'running' ? '' : `${state}, `);

const ready = async (app: AppProcess, stack: StackFile): Promise<void> => {
  if (app.ready)
    await untilReady(app.ready(stack), stack.identities.cli['AATS_CA_FILE'] ?? '', 60, () => stopping.signal.aborted);
};

async function untilRegistered(stack: StackFile, names: readonly string[]): Promise<void> {
  const env = stack.identities.admin;
  const client = createGrpcClient(CommunicationCoordinator, {
    address: env['AATS_COORDINATOR_ADDRESS'] ?? '',
    credentials: clientCredentials(
      readTls(env as { AATS_CA_FILE: string; AATS_CERT_FILE: string; AATS_KEY_FILE: string }),
    ),
  });
  try {
    for (let tries = 0; ; tries++) {
      const present = new Set(
        (await client.listAgents({}).catch(() => ({ agents: [] }))).agents.map(({ agentId }) => agentId),
      );
      const missing = names.filter((name) => !present.has(name));
      if (missing.length === 0 || stopping.signal.aborted) return;
      if (tries > 120) throw new Error(`these agents did not register: ${missing.join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  } finally {
    client.close();
  }
}

/** Until Ctrl-C; `c` shows the codes that count now. */
function untilStopped(people: readonly DemoPerson[]): Promise<void> {
  return new Promise((resolve) => {
    stopping.signal.addEventListener(
      'abort',
      () => {
        resolve();
      },
      { once: true },
    );
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.on('data', (key: Buffer) => {
      if (key[0] === 3) stopping.abort();
      if (key.toString() === 'c')
        say(`  ${people.map((person) => `${person.name} ${currentCode(person).code}`).join('   ')}`);
    });
  });
}

// A terminal that was closed hangs up, and takes no more words.
process.stdout.on('error', () => undefined);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    stopping.abort(new Error('stopped'));
  });
main().then(
  (code) => {
    process.exit(stopping.signal.aborted && options.unattended ? 130 : code);
  },
  (error: unknown) => {
    if (stopping.signal.aborted) process.exit(options.unattended ? 130 : 0);
    process.stderr.write(`\n${paint('red', '■')} ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
