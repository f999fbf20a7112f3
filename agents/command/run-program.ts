import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { isolation } from './isolation';
import { createProcessTree, end } from './process-tree';

/** Where a program runs, and what it may use. */
export interface ProgramLimits {
  readonly timeoutMs: number;
  /** Of standard output and standard error each; the program is ended when it writes more. */
  readonly outputBytes: number;
  /** Memory of all its processes together; what is merely reserved does not count. */
  readonly memoryBytes: number;
  /** Processes at once, itself among them. */
  readonly processes: number;
  /** Size of any file it writes. */
  readonly fileBytes: number;
}
export interface ProgramRun {
  /** Program and arguments; no shell ever reads them. */
  readonly program: string;
  readonly arguments: readonly string[];
  readonly folder: string;
  /** The whole environment of the program, but for `AATS_RUN`, by which its children are known: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly limits: ProgramLimits;
  /** Whom it runs as, and the folder that becomes that user's with all that is in it; without a user, the agent's own. */
  readonly owner?: { readonly user: string | undefined; readonly folder: string };
  /** Whether it may use the machine's network; without, it has a loopback of its own, where namespaces are possible. */
  readonly network: boolean;
  readonly signal: AbortSignal;
}
export interface ProgramResult {
  /** Null when the program was ended; 128 and the signal's number when a signal from elsewhere ended it. */
  readonly exitCode: number | null;
  readonly endedBy?: 'time' | 'output' | 'memory' | 'processes' | 'signal';
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

/** Hands the folder over, and gives what stands before a program to run it as that user, who gains nothing from setuid files. */
async function giveTo(user: string, folder: string): Promise<readonly string[]> {
  const tool = promisify(execFile);
  await tool('chown', ['--recursive', '--no-dereference', `${user}:`, folder]);
  const group = (await tool('id', ['-g', user])).stdout.trim();
  return ['setpriv', '--reuid', user, '--regid', group, '--clear-groups', '--no-new-privs', '--'];
}

/** Between the polite signal and the other one. */
const graceMs = 2000;
/** How often its processes are counted and weighed. */
const lookEveryMs = 250;

/**
 * Runs a program to its end under limits, and ends what comes of it as a whole, also children that left its process
 * group: on abort (then it rejects with the signal's reason), at a limit, and when it leaves children behind. It runs in
 * a process namespace where that is possible; elsewhere its children are looked for. Rejects when the program cannot be
 * started at all; a bad exit code is a result. One process gets no more memory than all may have (RLIMIT_DATA, so it is
 * told before it is ended). Needs `prlimit`, for another user `setpriv` (both util-linux), and `/proc`.
 */
export async function runProgram(run: ProgramRun): Promise<ProgramResult> {
  run.signal.throwIfAborted();
  const { memoryBytes, processes, fileBytes, outputBytes, timeoutMs } = run.limits;
  const mark = ['AATS_RUN', randomUUID()] as const;
  const dropped = run.owner?.user === undefined ? [] : await giveTo(run.owner.user, run.owner.folder);
  run.signal.throwIfAborted();
  const began = performance.now();
  const limits = [`--data=${memoryBytes}`, `--fsize=${fileBytes}`, '--core=0'];
  const isolated = isolation();
  const child = spawn(
    'prlimit',
    [...limits, '--', ...isolated.command(run), ...dropped, run.program, ...run.arguments],
    {
      cwd: run.folder,
      env: { ...run.environment, [mark[0]]: mark[1] },
      detached: true,
      stdio: 'pipe',
    },
  );
  const tree = child.pid === undefined ? undefined : createProcessTree(child.pid, mark.join('='));
  const endGroup = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined) end(-child.pid, signal);
  };
  let endedBy: ProgramResult['endedBy'];
  let force: NodeJS.Timeout | undefined;
  let release: NodeJS.Timeout | undefined;
  const endNow = (): void => {
    // The group first: the kernel does that in one go, so nothing forks away from it.
    endGroup('SIGKILL');
    tree?.endAll();
  };
  const stop = (reason: NonNullable<ProgramResult['endedBy']>): void => {
    endedBy ??= reason;
    endGroup('SIGTERM');
    force ??= setTimeout(endNow, graceMs);
  };
  const watch = setInterval(() => {
    const now = tree?.look();
    if (!now) return;
    const count = now.processes - isolated.processes;
    const reason = count > processes ? 'processes' : now.bytes() > memoryBytes ? 'memory' : undefined;
    if (reason === undefined) return;
    endedBy ??= reason;
    endNow();
  }, lookEveryMs);
  const abort = (): void => {
    stop('signal');
  };
  const timer = setTimeout(stop, timeoutMs, 'time');
  run.signal.addEventListener('abort', abort, { once: true });
  const collect = (stream: NodeJS.ReadableStream): (() => string) => {
    const parts: Buffer[] = [];
    let size = 0;
    stream.on('data', (part: Buffer) => {
      if (size < outputBytes) parts.push(part.subarray(0, outputBytes - size));
      size += part.length;
      if (size > outputBytes) stop('output');
    });
    return () => Buffer.concat(parts).toString('utf8');
  };
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  // A program may close its input before it has read all of it; that is its own affair.
  child.stdin.on('error', () => undefined);
  child.stdin.end(run.input ?? '');

  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      // Children that outlive the program would hold its pipes open, and 'close' would never come.
      child.once('exit', () => {
        endNow();
        release = setTimeout(() => {
          child.stdout.destroy();
          child.stderr.destroy();
        }, graceMs);
      });
      child.once('close', (code, signal) => {
        resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
      });
    });
    run.signal.throwIfAborted();
    const milliseconds = Math.round(performance.now() - began);
    return {
      exitCode: endedBy ? null : exitCode,
      ...(endedBy && { endedBy }),
      stdout: stdout(),
      stderr: stderr(),
      milliseconds,
    };
  } finally {
    clearInterval(watch);
    clearTimeout(timer);
    clearTimeout(force);
    clearTimeout(release);
    run.signal.removeEventListener('abort', abort);
  }
}
