import { existsSync } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { cachedArtefact } from './cache';
import { createCertificates } from './certificates';
import { runCommand } from './commands';
import { installPackages } from './debian';
import { ports } from './ports';
import { startServerProcess, stopServerProcess } from './processes';
import { ensureSecret } from './secrets';
import type { StackContext } from './server';
import { ensureSystemUser, isRoot } from './system-users';
import { createToolchain } from './toolchain';

export interface StackOptions {
  readonly dataDir?: string;
  readonly portOffset?: number;
  /** Absent: as many as the data folder was made with, 1 in a new one. */
  readonly brokers?: 1 | 3;
  readonly progress?: (line: string) => void;
}

const serverUserName = 'aats';

/** Where a stack keeps its data when nothing else is said: root's home is closed to the servers' user, hence /var. */
export const defaultDataDir = (): string =>
  process.env['AATS_DATA_DIR'] ??
  (isRoot()
    ? '/var/lib/aats/main'
    : join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'aats', 'main'));
export const defaultCacheDir = (): string =>
  process.env['AATS_CACHE_DIR'] ??
  (isRoot() ? '/var/cache/aats' : join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'aats'));

/** Who leads what stands in the brokers' own data: their number cannot change with one run. */
function brokerCount(dataDir: string, wanted: 1 | 3 | undefined): 1 | 3 {
  const made = existsSync(join(dataDir, 'kafka-3')) ? 3 : existsSync(join(dataDir, 'kafka')) ? 1 : undefined;
  if (made !== undefined && wanted !== undefined && made !== wanted)
    throw new Error(
      `the data in ${dataDir} is of ${made} Kafka broker${made === 1 ? '' : 's'}; reset it, or take another --data-dir`,
    );
  return made ?? wanted ?? 1;
}

/** The stack's folders, user, secrets and certificates; makes what is missing and starts nothing. */
export async function createStackContext(options: StackOptions = {}): Promise<StackContext> {
  const dataDir = options.dataDir ?? defaultDataDir();
  const cacheDir = defaultCacheDir();
  const portOffset = options.portOffset ?? 0;
  const serverUser = isRoot() ? await ensureSystemUser(serverUserName) : undefined;
  for (const dir of [cacheDir, dataDir]) {
    await mkdir(dir, { recursive: true });
    await chmod(dir, 0o755);
  }
  await mkdir(join(dataDir, 'run'), { recursive: true, mode: 0o755 });
  await mkdir(join(dataDir, 'logs'), { recursive: true, mode: 0o755 });
  const certificate = createCertificates(dataDir, serverUser);
  const python = createToolchain(cacheDir);
  const log = (name: string): string => join(dataDir, 'logs', `${name}.log`);

  return {
    cacheDir,
    dataDir,
    portOffset,
    brokers: brokerCount(dataDir, options.brokers),
    ...(serverUser && { serverUser }),
    port: (name) => ports[name] + portOffset,
    async serverDir(server) {
      const dir = join(dataDir, server);
      await mkdir(dir, { recursive: true, mode: 0o700 });
      if (serverUser) await chown(dir, serverUser.uid, serverUser.gid);
      return dir;
    },
    secret: (name) => ensureSecret(dataDir, name),
    certificate,
    cached: (name, version, build) =>
      cachedArtefact(cacheDir, name, version, (dir) => build(dir, options.progress ?? (() => undefined))),
    run: (command, args, run = {}) =>
      runCommand(command, args, {
        ...run,
        logFile: log('setup'),
        ...(run.asServer === true && serverUser && { user: serverUser }),
      }),
    // An async body: a program that cannot be started is a rejection, not a throw.
    spawn: async (name, command, args, spawnOptions = {}) =>
      Promise.resolve(
        startServerProcess(dataDir, name, command, args, { ...spawnOptions, ...(serverUser && { user: serverUser }) }),
      ),
    stopProcess: (name, stop = {}) =>
      stopServerProcess(dataDir, name, stop.signal ?? 'SIGTERM', stop.graceSeconds ?? 15),
    until,
    python,
    debian: (packages) => installPackages(cacheDir, packages),
    progress: options.progress ?? (() => undefined),
  };
}

/** Asks again, twice a second at first, until the probe resolves. */
export async function until(what: string, seconds: number, probe: () => Promise<void>): Promise<void> {
  const ends = Date.now() + seconds * 1000;
  for (let pause = 100; ; pause = Math.min(500, pause * 1.3)) {
    try {
      await probe();
      return;
    } catch (error) {
      if (Date.now() > ends)
        throw new Error(
          `${what} is not ready after ${seconds} s: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
