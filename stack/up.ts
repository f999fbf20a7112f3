import { join } from 'node:path';
import { withLock } from './cache';
import { writeStackFile } from './identity-environment';
import { holderSentence, portHolders } from './port-holders';
import { runningPid } from './processes';
import type { Server, StackContext } from './server';
import { ownServers } from './servers';
import type { StackFile } from './stack-file';

export type Phase = 'install' | 'start' | 'provision';
export interface Progress {
  begun(server: Server, phase: Phase): void;
  done(server: Server, phase: Phase, milliseconds: number): void;
}
// Two commands on one data folder take turns: the second finds what the first left, running or stopped.
const oneAtATime = <T>(ctx: StackContext, work: () => Promise<T>): Promise<T> =>
  withLock(join(ctx.dataDir, 'run', 'servers.lock'), work);
export interface UpOptions {
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
  /** Names of the servers wanted; absent: all. */
  readonly only?: readonly string[];
}
const silent: Progress = { begun: () => undefined, done: () => undefined };

/** Whether each process of the server is still the one that this stack started. */
export const isRunning = (ctx: StackContext, server: Server): boolean =>
  server.processes(ctx).every((name) => runningPid(ctx.dataDir, name) !== undefined);

/**
 * Brings every server of the stack up: fetched side by side, each started as soon as what it needs is ready. What
 * already runs is left as it is, what half runs is started anew, so a crashed earlier run never blocks this one.
 * Rejects before anything starts when a port is taken, naming the holders.
 */
export const bringUp = (ctx: StackContext, options: UpOptions = {}): Promise<StackFile> =>
  oneAtATime(ctx, () => startAll(ctx, options));

async function startAll(ctx: StackContext, options: UpOptions): Promise<StackFile> {
  const { progress = silent, signal } = options;
  const servers = ownServers(process.env).filter(
    ({ name }) => options.only === undefined || options.only.includes(name),
  );
  const toStart = servers.filter((server) => !isRunning(ctx, server));
  for (const server of toStart) await server.stop(ctx); // the rest of a half running one
  const holders = portHolders(toStart.flatMap((server) => server.ports(ctx)));
  if (holders.length > 0)
    throw new Error(`${holders.map(holderSentence).join('\n')}\nstop that, or move all ports with --port-offset N`);

  const file = writeStackFile(ctx); // its certificates are the slowest thing on a new stack: made from the first moment
  file.catch(() => undefined); // awaited below; a failure before that must not go unhandled
  const timed = async (server: Server, phase: Phase, work: () => Promise<void>): Promise<void> => {
    signal?.throwIfAborted();
    progress.begun(server, phase);
    const begun = Date.now();
    await work().catch((error: unknown) => {
      throw new Error(`${server.name} could not ${phase}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    });
    progress.done(server, phase, Date.now() - begun);
  };
  const ready = new Map<string, Promise<void>>();
  const up = (server: Server): Promise<void> => {
    const known = ready.get(server.name);
    if (known) return known;
    const promise = (async () => {
      await timed(server, 'install', () => server.install(ctx));
      await Promise.all(servers.filter(({ name }) => server.needs.includes(name)).map(up));
      await timed(server, 'start', async () => {
        if (!isRunning(ctx, server)) {
          await server.configure(ctx);
          signal?.throwIfAborted();
          await server.start(ctx);
        }
        await ctx.until(server.title, 90, () => server.ready(ctx));
      });
      await timed(server, 'provision', () => server.provision(ctx));
    })();
    ready.set(server.name, promise);
    return promise;
  };
  const results = await Promise.allSettled(servers.map(up));
  const failed = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
  if (failed.length > 0) throw new Error([...new Set(failed.map(({ message }) => message))].join('\n'));
  return file;
}

/** Stops every server, those that others need last. Idempotent. */
export const takeDown = (ctx: StackContext, stopped: (server: Server) => void = () => undefined): Promise<void> =>
  oneAtATime(ctx, () => stopAll(ctx, stopped));

async function stopAll(asked: StackContext, stopped: (server: Server) => void): Promise<void> {
  const ctx: StackContext = { ...asked, brokers: 3 }; // all that may run, whatever number this command was told
  const servers = ownServers(process.env);
  const down = new Map<string, Promise<void>>();
  const stop = (server: Server): Promise<void> => {
    const known = down.get(server.name);
    if (known) return known;
    const promise = (async () => {
      await Promise.all(servers.filter(({ needs }) => needs.includes(server.name)).map(stop));
      await server.stop(ctx);
      stopped(server);
    })();
    down.set(server.name, promise);
    return promise;
  };
  await Promise.all(servers.map(stop));
}
