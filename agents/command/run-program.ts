import { spawn } from 'node:child_process';

/** Where a program runs, and what it may use. */
export interface ProgramLimits {
  readonly timeoutMs: number;
  /** Of standard output and standard error each; the program is ended when it writes more. */
  readonly outputBytes: number;
  /** Data each of its processes may have (RLIMIT_DATA); what is merely reserved does not count. */
  readonly memoryBytes: number;
  /** Size of any file it writes. */
  readonly fileBytes: number;
}
export interface ProgramRun {
  /** Program and arguments; no shell ever reads them. */
  readonly program: string;
  readonly arguments: readonly string[];
  readonly folder: string;
  /** The whole environment of the program: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly limits: ProgramLimits;
  readonly signal: AbortSignal;
}
export interface ProgramResult {
  /** Null when the program was ended. */
  readonly exitCode: number | null;
  readonly endedBy?: 'time' | 'output' | 'signal';
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

/** Between the polite signal and the other one. */
const graceMs = 2000;

/**
 * Runs a program to its end under limits, in a process group of its own that is ended as a whole: on abort (then it
 * rejects with the signal's reason), when its time or output is up, and when it leaves children behind. Rejects when
 * the program cannot be started at all; a bad exit code is a result. Needs `prlimit` (util-linux).
 */
export async function runProgram(run: ProgramRun): Promise<ProgramResult> {
  run.signal.throwIfAborted();
  const { memoryBytes, fileBytes, outputBytes, timeoutMs } = run.limits;
  const began = performance.now();
  const limits = [`--data=${memoryBytes}`, `--fsize=${fileBytes}`, '--core=0'];
  const child = spawn('prlimit', [...limits, '--', run.program, ...run.arguments], {
    cwd: run.folder,
    env: { ...run.environment },
    detached: true,
    stdio: 'pipe',
  });
  const endGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  let endedBy: ProgramResult['endedBy'];
  let force: NodeJS.Timeout | undefined;
  let release: NodeJS.Timeout | undefined;
  const end = (reason: NonNullable<ProgramResult['endedBy']>): void => {
    endedBy ??= reason;
    endGroup('SIGTERM');
    force ??= setTimeout(endGroup, graceMs, 'SIGKILL');
  };
  const abort = (): void => {
    end('signal');
  };
  const timer = setTimeout(end, timeoutMs, 'time');
  run.signal.addEventListener('abort', abort, { once: true });
  const collect = (stream: NodeJS.ReadableStream): (() => string) => {
    const parts: Buffer[] = [];
    let size = 0;
    stream.on('data', (part: Buffer) => {
      if (size < outputBytes) parts.push(part.subarray(0, outputBytes - size));
      size += part.length;
      if (size > outputBytes) end('output');
    });
    return () => Buffer.concat(parts).toString('utf8');
  };
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  // A program may close its input before it has read all of it; that is its own affair.
  child.stdin.on('error', () => undefined);
  child.stdin.end(run.input ?? '');

  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      // Children that outlive the program would hold its pipes open, and 'close' would never come. One that left
      // the group cannot be ended from here, but neither is it waited for.
      child.once('exit', () => {
        endGroup('SIGKILL');
        release = setTimeout(() => {
          child.stdout.destroy();
          child.stderr.destroy();
        }, graceMs);
      });
      child.once('close', resolve);
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
    clearTimeout(timer);
    clearTimeout(force);
    clearTimeout(release);
    run.signal.removeEventListener('abort', abort);
  }
}
