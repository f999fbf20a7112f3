import { spawn } from 'node:child_process';
import { appendFile } from 'node:fs/promises';
import type { RunOptions } from './server';

/** Runs a program to its end; rejects with its name and last lines, never with its arguments, which may be private. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: RunOptions & {
    readonly user?: { readonly uid: number; readonly gid: number };
    readonly logFile?: string;
  } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      cwd: options.cwd ?? '/',
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '/',
        LANG: 'C.UTF-8',
        ...passThrough(),
        ...options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-1_000_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer =
      options.timeoutSeconds === undefined
        ? undefined
        : setTimeout(() => child.kill('SIGKILL'), options.timeoutSeconds * 1000);
    child.once('error', (error) => {
      reject(new Error(`${command} could not be run`, { cause: error }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (options.logFile !== undefined) void appendFile(options.logFile, output).catch(() => undefined);
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            `${command} ended with ${code ?? signal ?? 'an error'}:\n${output.trim().split('\n').slice(-15).join('\n')}`,
          ),
        );
    });
    child.stdin.on('error', () => undefined); // a program that reads nothing closes its input
    child.stdin.end(options.input ?? '');
  });
}

/** Settings of package managers and proxies that the user's shell carries; servers do not get them. */
function passThrough(): Record<string, string> {
  const wanted =
    /^(PIP_|GO[A-Z]|npm_config_|https?_proxy$|no_proxy$|SSL_CERT_|REQUESTS_CA_BUNDLE$|NODE_EXTRA_CA_CERTS$)/i;
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (pair): pair is [string, string] => wanted.test(pair[0]) && pair[1] !== undefined,
    ),
  );
}
