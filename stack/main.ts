import { createReadStream, existsSync } from 'node:fs';
import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { createStackContext, defaultDataDir } from './context';
import { doctor } from './doctor';
import { readBrokers, readPortOffset } from './options';
import { memoryOf, runningPid } from './processes';
import type { Server, StackContext } from './server';
import { allServers, ownServers } from './servers';
import { bringUp, isRunning, takeDown, type Phase } from './up';

interface Options {
  readonly portOffset: number;
  readonly dataDir: string;
  readonly brokers?: 1 | 3;
  readonly json?: boolean;
}
const program = new Command('stack')
  .description('the local servers of AATS alone')
  .option('--port-offset <n>', 'move every port', readPortOffset, 0)
  .option('--data-dir <path>', 'where their data is', defaultDataDir())
  .option('--brokers <n>', 'Kafka brokers: 1, or 3 for replication 3', readBrokers)
  .option('--json', 'for programs')
  .configureHelp({ showGlobalOptions: true });
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
const words: Record<Phase, string> = { install: 'fetched', start: 'answers', provision: 'set up' };

const stackFolders = (ctx: StackContext): readonly string[] => [
  ...['agents', 'logs', 'run', 'secrets', 'tls'],
  // Some servers have one folder, others one for each process.
  ...allServers.flatMap((server) => [server.name, ...server.processes({ ...ctx, brokers: 3 })]),
];

async function withContext(
  command: Command,
  work: (ctx: StackContext, options: Options) => Promise<void>,
): Promise<void> {
  const options = command.optsWithGlobals<Options>();
  try {
    await work(await createStackContext(options), options);
  } catch (error) {
    process.stderr.write(`■ ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

program
  .command('up')
  .description('fetch, start and set up every server; what runs is left alone')
  .action((_: object, command: Command) =>
    withContext(command, async (ctx) => {
      const interrupted = new AbortController();
      process.once('SIGINT', () => {
        say('  stopping; what was fetched is kept');
        interrupted.abort(new Error('interrupted'));
      });
      const own = ownServers(process.env);
      const ranAlready = own.every((server) => isRunning(ctx, server));
      const begun = Date.now();
      const progress = {
        begun: () => undefined,
        done: (server: Server, phase: Phase, took: number) => {
          if (took > 300) say(`  ✓ ${server.title.padEnd(44)} ${words[phase].padEnd(8)} ${seconds(took)}`);
        },
      };
      try {
        await bringUp(ctx, { progress, signal: interrupted.signal });
      } catch (error) {
        if (interrupted.signal.aborted) await takeDown(ctx);
        throw error;
      }
      say(
        ranAlready
          ? `  ${own.length} servers ran already and answer; data in ${ctx.dataDir}`
          : `  ${own.length} servers answer after ${seconds(Date.now() - begun)}; data in ${ctx.dataDir}`,
      );
    }),
  );
program
  .command('down')
  .description('stop every server; the data stays')
  .action((_: object, command: Command) =>
    withContext(command, async (ctx) => {
      await takeDown(ctx, (server) => {
        say(`  ✓ ${server.name} stopped`);
      });
    }),
  );
program
  .command('status')
  .description('what runs, and its memory')
  .action((_: object, command: Command) =>
    withContext(command, async (ctx, { json }) => {
      const own = ownServers(process.env);
      const rows = await Promise.all(
        allServers.map(async (server) => {
          const pids = server.processes(ctx).map((name) => runningPid(ctx.dataDir, name));
          const running = pids.filter((pid) => pid !== undefined);
          const answers =
            running.length === pids.length &&
            (await server.ready(ctx).then(
              () => true,
              () => false,
            ));
          const state = !own.includes(server)
            ? 'yours'
            : answers
              ? 'answers'
              : running.length > 0
                ? 'does not answer'
                : 'stopped';
          return {
            name: server.name,
            title: server.title,
            state,
            ports: server.ports(ctx),
            memoryBytes: running.reduce((sum, pid) => sum + memoryOf(pid), 0),
          };
        }),
      );
      if (json === true) {
        say(JSON.stringify(rows));
        return;
      }
      const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`.padStart(9);
      for (const { name, title, state, memoryBytes, ports } of rows)
        say(
          `${state === 'answers' ? '✓' : state === 'yours' ? '–' : '■'} ${name.padEnd(16)} ${state.padEnd(16)} ${mebibytes(memoryBytes)}   ${title}, port ${ports[0] ?? ''}`,
        );
      say(`  ${'in all'.padEnd(33)} ${mebibytes(rows.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0))}`);
      if (rows.some(({ state }) => state === 'stopped' || state === 'does not answer')) process.exitCode = 3;
    }),
  );
program
  .command('logs <name>')
  .description('the log of a server or of a process of ours')
  .action((name: string, _: object, command: Command) =>
    withContext(command, async (ctx) => {
      const file = join(ctx.dataDir, 'logs', `${name.replaceAll(/[^a-z0-9-]/g, '')}.log`);
      if (!existsSync(file))
        throw new Error(
          `there is no log of ${name}; servers: ${allServers.flatMap((server) => server.processes(ctx)).join(', ')}`,
        );
      await pipeline(createReadStream(file), process.stdout, { end: false });
    }),
  );
program
  .command('reset')
  .description('stop every server and delete its data; certificates and passwords go too')
  .action((_: object, command: Command) =>
    withContext(command, async (ctx) => {
      await takeDown(ctx);
      // Only what a stack makes: a mistyped --data-dir must not cost anything else that is in that folder.
      for (const name of stackFolders(ctx)) await rm(join(ctx.dataDir, name), { recursive: true, force: true });
      await rmdir(ctx.dataDir).catch(() => undefined); // something else is in it, and stays
      say(`  ✓ the data in ${ctx.dataDir} is deleted; what was fetched is kept in ${ctx.cacheDir}`);
    }),
  );
program
  .command('doctor')
  .description('every prerequisite: found, or how to get it')
  .action(async (_: object, command: Command) => {
    const found = await doctor();
    if (command.optsWithGlobals<Options>().json === true) say(JSON.stringify(found));
    else for (const { name, ok, detail } of found) say(`${ok ? '✓' : '■'} ${name.padEnd(22)} ${detail}`);
    if (found.some(({ ok }) => !ok)) process.exitCode = 1;
  });

void program.parseAsync();
