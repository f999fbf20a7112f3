import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { demoAgents, services, supervised, untilReady, type AppProcess } from '../../stack/app';
import { createStackContext } from '../../stack/context';
import { currentCode, type DemoPerson } from '../../stack/demo-codes';
import { hasEnded, type PlanAnswer } from '../../stack/demo-plan';
import { packageRoot } from '../../stack/package-root';
import { childrenOf, runningPid } from '../../stack/processes';
import { type RestSession, signInAs } from '../../stack/rest-session';
import type { Server } from '../../stack/server';
import { setUpApplication } from '../../stack/set-up';
import type { StackFile } from '../../stack/stack-file';
import { createSupervisor, stopLeftovers, type Supervisor } from '../../stack/supervisor';
import { stackFile } from './stack';

/** The whole application as processes of their own on the tests' servers, run from `dist/` as users run it. */
export interface System {
  readonly stack: StackFile;
  readonly pageUrl: string;
  readonly supervisor: Supervisor;
  readonly people: Readonly<Record<'mara' | 'ana' | 'jonas', DemoPerson & { code(): string }>>;
  /** Signed in with both factors; one session a person, since a code counts once. */
  session(name: 'mara' | 'ana' | 'jonas'): Promise<RestSession>;
  /** Starts a plan as Jonas; gives its id, the name and what makes it unique. */
  startPlan(name: string, tasks: readonly object[], more?: object): Promise<string>;
  /** The plan once it has ended, whatever restarts meanwhile; rejects after `seconds`. */
  planEnd(planId: string, seconds: number): Promise<PlanAnswer>;
  startAgent(agent: AppProcess): void;
  /** Ends a service at once; it stays down until what this resolves to is called. */
  takeDown(name: string): Promise<() => void>;
  /** Processes that ended without being asked to by the supervisor. */
  readonly exits: readonly { readonly name: string; readonly code: number | null }[];
  stop(): Promise<void>;
}

/** The application's services and workers, and what its set-up gave: one for all files of system tests. */
export interface SharedServices {
  readonly supervisor: Supervisor;
  readonly exits: readonly { readonly name: string; readonly code: number | null }[];
  readonly people: readonly DemoPerson[];
  readonly agentEnvironment: Readonly<Record<string, string>>;
  readonly dist: string;
}

/** Starts services and workers from `dist/` on the tests' servers, after what an earlier run may have left is ended. */
export async function startServices(stack: StackFile): Promise<SharedServices> {
  const dist = join(packageRoot, 'dist');
  const ctx = await createStackContext({ dataDir: stack.dataDir, portOffset: stack.portOffset });
  const { people, agentEnvironment } = await setUpApplication(ctx, stack);
  await stopLeftovers(
    stack.dataDir,
    [...services, ...demoAgents].map(({ name }) => name),
  );
  const exits: { readonly name: string; readonly code: number | null }[] = [];
  const supervisor = createSupervisor(stack.dataDir, { onExit: (name, code) => exits.push({ name, code }) });
  for (const app of services) supervisor.start(supervised(app, stack, dist));
  try {
    await untilServicesAreReady(stack);
  } catch (error) {
    await supervisor.stopAll(5);
    throw error;
  }
  return { supervisor, exits, people, agentEnvironment, dist };
}

const untilServicesAreReady = (stack: StackFile): Promise<unknown> => {
  const caFile = stack.identities.cli['AATS_CA_FILE'] ?? '';
  return Promise.all(services.flatMap(({ ready }) => (ready ? [untilReady(ready(stack), caFile, 60)] : [])));
};

declare global {
  /** Of the run (`system-run/start.ts`), and handed to each file's own global by `system-run/environment.cjs`. */
  var sharedServices: SharedServices | undefined;
}

/** The running application with agents of the caller's; `stop` ends those, and leaves the rest to the next file. */
export async function startSystem(options: { readonly agents?: readonly AppProcess[] } = {}): Promise<System> {
  const stack = stackFile();
  const shared = globalThis.sharedServices;
  if (!shared) throw new Error('system tests share one start of the services: run them with --runInBand');
  const { supervisor, exits, people, agentEnvironment, dist } = shared;
  const agents = options.agents ?? demoAgents;
  await stopLeftovers(
    stack.dataDir,
    agents.map(({ name }) => name),
  );
  // The file before may have ended with one of them down.
  await untilServicesAreReady(stack);
  const started = new Set<string>();
  const down = new Set<() => void>();
  const startAgent = (agent: AppProcess): void => {
    started.add(agent.name);
    supervisor.start(supervised({ ...agent, env: agentEnvironment }, stack, dist));
  };
  for (const agent of agents) startAgent(agent);
  const sessions = new Map<string, Promise<RestSession>>();
  const person = (name: string): DemoPerson & { code(): string } => {
    const found = people.find((one) => one.name === name);
    if (!found) throw new Error(`there is no ${name}`);
    return { ...found, code: () => currentCode(found).code };
  };
  const session: System['session'] = (name) => {
    const known = sessions.get(name) ?? signInAs(stack, person(name));
    sessions.set(name, known);
    return known;
  };
  return {
    stack,
    pageUrl: stack.identities.cli['AATS_HITL_URL'] ?? '',
    supervisor,
    people: { mara: person('mara'), ana: person('ana'), jonas: person('jonas') },
    session,
    async startPlan(name, tasks, more = {}) {
      const planId = `${name}-${Date.now().toString(36)}`;
      const document = JSON.stringify({ name, tasks, ...more });
      await (await session('jonas')).post('/v1/plans', { planId, plan: { document }, inputs: {} });
      return planId;
    },
    async planEnd(planId, seconds) {
      const jonas = await session('jonas');
      const answer = await until(
        () => jonas.get(`/v1/plans/${planId}`).catch((error: unknown) => String(error)) as Promise<PlanAnswer | string>,
        (one) => typeof one !== 'string' && hasEnded(one),
        seconds,
      );
      return answer as PlanAnswer;
    },
    startAgent,
    async takeDown(name) {
      const app = services.find((one) => one.name === name);
      if (!app) throw new Error(`there is no service ${name}`);
      await supervisor.stop(name, 0);
      const startAgain = (): void => {
        if (down.delete(startAgain)) supervisor.start(supervised(app, stack, dist));
      };
      down.add(startAgain);
      return startAgain;
    },
    exits,
    async stop() {
      for (const startAgain of down) startAgain();
      await Promise.all([...started].map((name) => supervisor.stop(name, 10)));
    },
  };
}

/** Kills a server of the stack and starts it again, as a machine that fails would; resolves once it answers. */
export async function killAndStart(
  { stack }: System,
  server: Server,
  whileAway: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const ctx = await createStackContext({ dataDir: stack.dataDir, portOffset: stack.portOffset });
  for (const name of server.processes(ctx)) await ctx.stopProcess(name, { signal: 'SIGKILL' });
  await whileAway();
  await server.start(ctx);
  await ctx.until(server.title, 60, () => server.ready(ctx));
}

/** Sends a signal to all processes of a server: a stopped one still takes connections and answers nothing. */
export async function signalServer({ stack }: System, server: Server, signal: NodeJS.Signals): Promise<void> {
  const ctx = await createStackContext({ dataDir: stack.dataDir, portOffset: stack.portOffset });
  for (const name of server.processes(ctx)) {
    const pid = runningPid(stack.dataDir, name);
    if (pid === undefined) throw new Error(`${name} does not run`);
    for (const one of [pid, ...childrenOf(pid)]) process.kill(one, signal);
  }
}

/** Asks until the answer is the wanted one; rejects with the last answer after `seconds`. */
export async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean, seconds: number): Promise<T> {
  const ends = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > ends)
      throw new Error(
        `still not after ${seconds} s: ${(JSON.stringify(answer) as string | undefined)?.slice(0, 2000) ?? 'nothing'}`,
      );
    await setTimeout(250);
  }
}
