import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SpawnOptions } from './server';
import { startTime } from './supervisor';

/** Starts a server process in a session of its own, so that it outlives the command that started it. */
export function startServerProcess(
  dataDir: string,
  name: string,
  command: string,
  args: readonly string[],
  options: SpawnOptions & { readonly user?: { readonly uid: number; readonly gid: number } },
): number {
  const log = openSync(join(dataDir, 'logs', `${name}.log`), 'a', 0o600);
  try {
    const child = spawn(command, [...args], {
      cwd: options.cwd ?? '/',
      env: { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', ...options.env },
      stdio: ['ignore', log, log],
      detached: true,
      ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
    });
    child.unref();
    if (child.pid === undefined) throw new Error(`${name}: ${command} could not be started`);
    child.on('error', () => undefined); // its readiness check tells
    writeFileSync(pidFile(dataDir, name), `${child.pid} ${startTime(child.pid) ?? ''}`, { mode: 0o600 });
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/** The pid of a process that this stack started and that still is the same process. */
export function runningPid(dataDir: string, name: string): number | undefined {
  try {
    const [pid, started] = readFileSync(pidFile(dataDir, name), 'utf8').split(' ');
    return started !== undefined && started !== '' && startTime(Number(pid)) === started ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** Ends it by its pid, hard after `graceSeconds`. Idempotent; a recycled pid is never touched. */
export async function stopServerProcess(
  dataDir: string,
  name: string,
  signal: NodeJS.Signals,
  graceSeconds: number,
): Promise<void> {
  const pid = runningPid(dataDir, name);
  if (pid !== undefined) {
    const started = startTime(pid);
    process.kill(pid, signal);
    const hard = Date.now() + graceSeconds * 1000;
    let killed = false;
    while (startTime(pid) === started && !isZombie(pid)) {
      if (!killed && Date.now() > hard) {
        killed = true;
        process.kill(pid, 'SIGKILL');
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  rmSync(pidFile(dataDir, name), { force: true });
}

const pidFile = (dataDir: string, name: string): string => join(dataDir, 'run', `${name}.pid`);

function isZombie(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true;
  }
}

/** Memory of a process and its children that is its own or its share of what is shared, in bytes (PSS). */
export function memoryOf(pid: number): number {
  let total = 0;
  for (const one of [pid, ...childrenOf(pid)]) {
    try {
      const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${one}/smaps_rollup`, 'utf8'));
      total += Number(match?.[1] ?? 0) * 1024;
    } catch {
      // ended meanwhile, or another user's: counted as nothing
    }
  }
  return total;
}

/** The processes that a process started, and theirs. */
export function childrenOf(pid: number): number[] {
  try {
    const direct = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
    return direct.flatMap((child) => [child, ...childrenOf(child)]);
  } catch {
    return [];
  }
}
