import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A process of ours that is kept running: restarted with a growing pause when it ends without being asked to. */
export interface SupervisedProcess {
  readonly name: string;
  /** Arguments of node: the script first. */
  readonly command: readonly string[];
  /** The whole environment; nothing of the caller's is passed on but PATH, HOME and what npm needs. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface Supervisor {
  start(process: SupervisedProcess): void;
  /** SIGTERM, then SIGKILL after `graceSeconds`; resolves when it is gone. Unknown names are nothing to do. */
  stop(name: string, graceSeconds?: number): Promise<void>;
  /** SIGKILL without warning; the supervisor then restarts it. Resolves once the killed process is gone. */
  kill(name: string): Promise<void>;
  pid(name: string): number | undefined;
  /** How often a process was restarted. */
  restarts(name: string): number;
  /** Stops all, the last started first. */
  stopAll(graceSeconds?: number): Promise<void>;
}

interface Entry {
  readonly definition: SupervisedProcess;
  child?: ChildProcess;
  wanted: boolean;
  restarts: number;
  timer?: NodeJS.Timeout;
}

const passedOn = [
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'NODE_EXTRA_CA_CERTS',
  'NODE_OPTIONS',
  'XDG_CACHE_HOME',
  'SSL_CERT_FILE',
];

/**
 * Output is appended to `<data>/logs/<name>.log`, the pid kept in `<data>/run/app-<name>.pid`, so that the next
 * run can end what a crashed one left behind (`stopLeftovers`).
 */
export function createSupervisor(
  dataDir: string,
  options: { readonly onExit?: (name: string, code: number | null) => void } = {},
): Supervisor {
  const entries = new Map<string, Entry>();
  const logs = join(dataDir, 'logs');
  const run = join(dataDir, 'run');
  mkdirSync(logs, { recursive: true });
  mkdirSync(run, { recursive: true });

  const launch = (entry: Entry): void => {
    const { name, command, env, cwd } = entry.definition;
    const log = openSync(join(logs, `${name}.log`), 'a', 0o600);
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(
        (pair): pair is [string, string] =>
          pair[1] !== undefined && (passedOn.includes(pair[0]) || /^npm_config_/i.test(pair[0])),
      ),
    );
    // A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops all in order.
    const child = spawn(process.execPath, [...command], {
      env: { ...inherited, ...env },
      stdio: ['ignore', log, log],
      detached: true,
      ...(cwd !== undefined && { cwd }),
    });
    closeSync(log);
    entry.child = child;
    if (child.pid !== undefined) writeFileSync(pidFile(run, name), `${child.pid} ${startTime(child.pid) ?? ''}`);
    const startedAt = Date.now();
    child.once('exit', (code) => {
      delete entry.child;
      rmSync(pidFile(run, name), { force: true });
      if (!entry.wanted) return;
      options.onExit?.(name, code);
      entry.restarts += 1;
      // One that ran for a while comes back at once; one that cannot start is not asked ten times a second.
      const pause = Date.now() - startedAt > 5_000 ? 100 : Math.min(10_000, 250 * 2 ** Math.min(entry.restarts, 6));
      entry.timer = setTimeout(() => {
        launch(entry);
      }, pause);
    });
  };

  const gone = (child: ChildProcess): Promise<void> =>
    child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve()
      : new Promise((resolve) =>
          child.once('exit', () => {
            resolve();
          }),
        );

  const supervisor: Supervisor = {
    start(definition) {
      const entry: Entry = { definition, wanted: true, restarts: 0 };
      entries.set(definition.name, entry);
      launch(entry);
    },
    async stop(name, graceSeconds = 15) {
      const entry = entries.get(name);
      if (!entry) return;
      entry.wanted = false;
      clearTimeout(entry.timer);
      entries.delete(name);
      const { child } = entry;
      if (!child) return;
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1000);
      await gone(child);
      clearTimeout(force);
    },
    async kill(name) {
      const child = entries.get(name)?.child;
      if (!child) return;
      child.kill('SIGKILL');
      await gone(child);
    },
    pid: (name) => entries.get(name)?.child?.pid,
    restarts: (name) => entries.get(name)?.restarts ?? 0,
    async stopAll(graceSeconds) {
      for (const name of [...entries.keys()].reverse()) await supervisor.stop(name, graceSeconds);
    },
  };
  return supervisor;
}

const pidFile = (run: string, name: string): string => join(run, `app-${name}.pid`);

/** Start time of a process in clock ticks since boot: with it a recycled pid is never taken for ours. */
export function startTime(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Ends processes that an earlier, crashed run left behind; gives their names. */
export async function stopLeftovers(dataDir: string, names: readonly string[]): Promise<readonly string[]> {
  const run = join(dataDir, 'run');
  const left: string[] = [];
  for (const name of names) {
    const file = pidFile(run, name);
    let content: string;
    try {
      content = readFileSync(file, 'utf8');
    } catch {
      continue;
    }
    const [pid, started] = content.split(' ');
    const id = Number(pid);
    if (Number.isInteger(id) && id > 1 && started !== undefined && started !== '' && startTime(id) === started) {
      left.push(name);
      process.kill(id, 'SIGTERM');
      for (let i = 0; i < 100 && startTime(id) === started; i++) {
        if (i === 50) process.kill(id, 'SIGKILL');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    rmSync(file, { force: true });
  }
  return left;
}
