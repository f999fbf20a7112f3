import { join } from 'node:path';
import { runProgram, type ProgramLimits, type ProgramResult } from '../command/run-program';
import { taskFailed } from '../task-failed';
import type { Work } from '../work';
import type { Workplace } from './workplace';

const MiB = 1024 * 1024;
export const toolLimits: ProgramLimits = {
  timeoutMs: 5 * 60_000,
  outputBytes: 16 * MiB,
  memoryBytes: 2048 * MiB,
  processes: 128,
  fileBytes: 512 * MiB,
};

type Tool = (folder: string, ...args: readonly string[]) => Promise<string>;

/** npm's own words for what no second try can help: versions that do not go together, a lock file that does not fit. */
const final = /npm error code (ERESOLVE|EBADENGINE|EBADPLATFORM|EUSAGE|EINVALIDTAGNAME|EINVALIDPACKAGENAME)\b/;

/**
 * npm with the user's own settings. Scripts of packages never run: what is under review is not trusted yet. Fails with
 * PackageNotFound, NotInstallable (both final), or with NpmFailed: trying again may help, as the registry is asked over
 * the network.
 */
export function npmOf(work: Work, { npmEnvironment }: Workplace): Tool {
  return async (folder, ...args) => {
    const result = await runProgram({
      program: 'npm',
      arguments: [
        ...args,
        '--ignore-scripts',
        // A project's .npmrc may say much, and not what runs here or that packages go elsewhere than into its copy.
        '--git=git',
        '--no-global',
        '--location=project',
        '--no-force',
        '--no-audit',
        '--no-fund',
        '--no-update-notifier',
        '--logs-max=0',
        '--loglevel=error',
      ],
      folder,
      environment: npmEnvironment,
      limits: toolLimits,
      network: true,
      signal: work.signal,
    });
    // npm's codes for a package or a version that the registry does not have.
    const absent = /npm error code (E404|ETARGET)\b/.test(result.stderr);
    if (absent) throw taskFailed('PackageNotFound', `npm ${args.join(' ')}: ${lastLines(result)}`);
    if (final.test(result.stderr)) throw taskFailed('NotInstallable', `npm ${args.join(' ')}: ${lastLines(result)}`);
    if (result.exitCode !== 0) {
      throw taskFailed('NpmFailed', `npm ${args.join(' ')}: ${lastLines(result)}`, { retryable: true });
    }
    return result.stdout;
  };
}

/** git that reads no settings but these, so that commits do not depend on the machine. Fails with GitFailed. */
export function gitOf(work: Work, { path }: Workplace): Tool {
  return async (folder, ...args) => {
    const result = await runProgram({
      program: 'git',
      arguments: args,
      folder,
      environment: {
        PATH: path,
        HOME: work.folder,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_TERMINAL_PROMPT: '0',
        GIT_CEILING_DIRECTORIES: join(folder, '..'),
        GIT_AUTHOR_NAME: 'AATS',
        GIT_AUTHOR_EMAIL: 'aats@localhost',
        GIT_COMMITTER_NAME: 'AATS',
        GIT_COMMITTER_EMAIL: 'aats@localhost',
        // The same content makes the same commit, so that a repeated attempt changes nothing.
        GIT_AUTHOR_DATE: '2000-01-01T00:00:00Z',
        GIT_COMMITTER_DATE: '2000-01-01T00:00:00Z',
      },
      limits: toolLimits,
      network: true,
      signal: work.signal,
    });
    if (result.exitCode !== 0) throw taskFailed('GitFailed', `git ${args.join(' ')}: ${lastLines(result)}`);
    return result.stdout;
  };
}

/** What a person wants to see of a program that went wrong. */
export function lastLines({ exitCode, endedBy, stdout, stderr }: ProgramResult, characters = 600): string {
  const text = (stderr.trim() || stdout.trim()).slice(-characters);
  return `${endedBy ? `ended by its ${endedBy} limit` : `exit code ${exitCode ?? 'none'}`}${text && `\n${text}`}`;
}
