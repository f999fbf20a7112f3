import { join } from 'node:path';
import type { ArtifactReference } from '../../workflows/contracts/json';
import { runProgram, type ProgramResult } from '../command/run-program';
import { checkOutBranch } from './branches';
import type { Upgrade } from './package-spec';
import { readManifest, unpackProject } from './project-folder';
import { TaskFailed, taskFailed } from '../task-failed';
import { lastLines, npmOf, toolLimits } from './tools';
import type { Work } from '../work';
import type { Workplace } from './workplace';

export interface TestRequest {
  readonly project: ArtifactReference;
  readonly upgrades: readonly Upgrade[];
  /** Tests a branch that npm-apply made for the same plan, instead of the project as given. */
  readonly branch?: string | undefined;
  readonly timeoutSeconds: number;
  /** Red tests fail the task with TestsFailed instead of being its result. */
  readonly failWhenRed: boolean;
}
export interface TestResult {
  /** The upgraded packages, or the branch. */
  readonly name: string;
  readonly passed: boolean;
  /** Whether it came to the tests at all: npm may refuse to put the versions together. */
  readonly ran: boolean;
  readonly milliseconds: number;
  /** Last words of a red run. */
  readonly problem: string;
  readonly log: ArtifactReference;
}

/**
 * Runs `npm test` of a copy of the project with the upgrades in it. The project's code runs here: under limits of
 * time, output and memory, without the user's npm settings and without the network, as the workplace's user for programs.
 */
export async function runProjectTests(request: TestRequest, work: Work, workplace: Workplace): Promise<TestResult> {
  const { project, upgrades, branch, timeoutSeconds, failWhenRed } = request;
  const folder =
    branch === undefined
      ? await unpackProject(work, project)
      : await checkOutBranch(branch, join(work.folder, 'branch'), work, workplace);
  const { scripts } = await readManifest(folder);
  if (scripts['test'] === undefined) throw taskFailed('ProjectInvalid', 'package.json has no script named test');

  const name = branch ?? (upgrades.map((upgrade) => upgrade.name).join(', ') || 'the project as given');
  const logOf = (text: string): Promise<ArtifactReference> =>
    work.keep({ name: 'test.log', mediaType: 'text/plain', bytes: Buffer.from(text) });
  const red = (problem: string): TaskFailed => taskFailed('TestsFailed', `The tests of ${name} failed: ${problem}`);

  work.progress('Installing');
  const npm = npmOf(work, workplace);
  try {
    if (upgrades.length === 0) await npm(folder, 'ci');
    else await npm(folder, 'install', ...upgrades.map((upgrade) => `${upgrade.name}@${upgrade.to}`));
  } catch (error) {
    if (!(error instanceof TaskFailed) || error.type !== 'NotInstallable') throw error;
    if (failWhenRed) throw red(error.message);
    const problem = error.message.slice(0, problemCharacters);
    return { name, passed: false, ran: false, milliseconds: 0, problem, log: await logOf(error.message) };
  }

  work.progress('Testing');
  const result = await runProgram({
    program: 'npm',
    arguments: ['test'],
    folder,
    environment: { PATH: workplace.path, HOME: work.folder, TMPDIR: work.folder, CI: 'true', NO_COLOR: '1' },
    limits: { ...toolLimits, timeoutMs: timeoutSeconds * 1000 },
    network: false,
    owner: { user: workplace.programUser, folder: work.folder },
    signal: work.signal,
  });
  const passed = result.exitCode === 0;
  const problem = passed ? '' : problemOf(result).slice(0, problemCharacters);
  if (!passed && failWhenRed) throw red(problem);
  const { milliseconds, stdout, stderr } = result;
  return { name, passed, ran: true, milliseconds, problem, log: await logOf(`${stdout}\n${stderr}`) };
}

const problemCharacters = 500;

/** The lines of a test report that name what failed (TAP and the usual runners), else its last words. */
function problemOf(result: ProgramResult): string {
  const telling = result.stdout.split('\n').filter((line) => /^\s*(not ok\b|✖|✕|FAIL\b|error:)/.test(line));
  const distinct = [...new Set(telling.map((line) => line.trim()))];
  return distinct.length > 0 && !result.endedBy ? distinct.join('\n') : lastLines(result, 300);
}
