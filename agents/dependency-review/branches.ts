import { access, cp, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import semver from 'semver';
import type { ArtifactReference } from '../../workflows/contracts/json';
import { keepJson } from './documents';
import type { Upgrade } from './package-spec';
import { ownDependencies, readManifest, unpackProject } from './project-folder';
import { taskFailed } from '../task-failed';
import { gitOf, npmOf } from './tools';
import type { Work } from '../work';
import type { Workplace } from './workplace';

export interface Applied {
  readonly branch: string;
  readonly commit: string;
  readonly diff: ArtifactReference;
  /** The upgrades that are on the branch, with the version before. */
  readonly upgrades: ArtifactReference;
}

/**
 * Commits the upgrades to a branch of the plan's managed copy of the project, a bare repository on the agent's disk
 * that later tasks of the plan find again. Run again it makes the same commits and moves the branch to them. What is no
 * dependency of the project is refused: a person's edit may upgrade, and not bring in.
 */
export async function applyUpgrades(
  request: { readonly project: ArtifactReference; readonly branch: string; readonly upgrades: readonly Upgrade[] },
  work: Work,
  workplace: Workplace,
): Promise<Applied> {
  const { project, branch, upgrades } = request;
  const [git, npm] = [gitOf(work, workplace), npmOf(work, workplace)];
  await checkBranchName(branch, work, workplace);
  const repository = repositoryOf(work, workplace);
  await mkdir(repository, { recursive: true, mode: 0o700 });
  await git(repository, 'init', '--quiet', '--bare', '--initial-branch=main');

  const folder = join(work.folder, 'copy');
  // A repository in the archive, also below its top, would bring its own hooks and settings, which git acts on.
  const filter = (path: string): boolean => basename(path) !== '.git';
  await cp(await unpackProject(work, project), folder, { recursive: true, filter });
  const known = new Map((await ownDependencies(folder)).map((one) => [one.name, one]));
  const foreign = upgrades.find(({ name }) => !known.has(name));
  if (foreign) throw taskFailed('InvalidInput', `${foreign.name} is no dependency of the project`);
  await git(folder, 'init', '--quiet', '--initial-branch=main', '--template=');
  await commitAll('The project as given');
  await git(folder, 'checkout', '--quiet', '-b', branch, '--');
  await install(upgrades);
  await commitAll(['Upgrade dependencies', '', ...upgrades.map(({ name, to }) => `${name} ${to}`)].join('\n'));
  await git(folder, 'push', '--quiet', '--force', repository, 'main', branch);

  const diff = await git(folder, 'diff', '--no-color', '--no-ext-diff', `main..${branch}`);
  const commit = (await git(folder, 'rev-parse', 'HEAD')).trim();
  const applied = upgrades.map(({ name, to }) => {
    const one = known.get(name);
    return { name, from: one && 'current' in one ? one.current : '', to };
  });
  return {
    branch,
    commit,
    diff: await work.keep({ name: 'upgrades.diff', mediaType: 'text/x-diff', bytes: Buffer.from(diff) }),
    upgrades: await keepJson(work, 'upgrades.json', applied),
  };

  /** A version the project has pinned stays pinned; a range stays one. */
  async function install(all: readonly Upgrade[]): Promise<void> {
    const { dependencies, devDependencies, optionalDependencies } = await readManifest(folder);
    const specs = { ...optionalDependencies, ...devDependencies, ...dependencies };
    const pinned = ({ name }: Upgrade): boolean => semver.valid(specs[name]) !== null;
    for (const [saved, some] of [
      ['--save-exact', all.filter(pinned)],
      ['--no-save-exact', all.filter((one) => !pinned(one))],
    ] as const) {
      const specs = some.map(({ name, to }) => `${name}@${to}`);
      if (specs.length > 0) await npm(folder, 'install', '--package-lock-only', saved, ...specs);
    }
  }

  async function commitAll(message: string): Promise<void> {
    await git(folder, 'add', '--all', '--force', '--', '.', ':(exclude,glob)**/node_modules/**');
    await git(folder, 'commit', '--quiet', '--allow-empty', '--no-verify', '--message', message);
  }
}

/** A fresh copy of the branch. Fails with BranchNotFound, also when another agent's disk holds it. */
export async function checkOutBranch(
  branch: string,
  folder: string,
  work: Work,
  workplace: Workplace,
): Promise<string> {
  await checkBranchName(branch, work, workplace);
  if (!(await hasBranch(branch, work, workplace))) {
    throw taskFailed(
      'BranchNotFound',
      `Plan ${work.planId} has no branch ${branch} here: npm-apply did not make it on this disk`,
    );
  }
  const source = repositoryOf(work, workplace);
  await gitOf(work, workplace)(
    work.folder,
    'clone',
    '--quiet',
    // The copy may become another user's, and must not share its files with the repository.
    '--no-hardlinks',
    '--template=',
    '--single-branch',
    '--branch',
    branch,
    source,
    folder,
  );
  return folder;
}

/** Leaves no such branch; one that is not there is the wanted end too. */
export async function deleteBranch(
  { branch }: { readonly branch: string },
  work: Work,
  workplace: Workplace,
): Promise<{ readonly branch: string; readonly deleted: boolean }> {
  await checkBranchName(branch, work, workplace);
  if (!(await hasBranch(branch, work, workplace))) return { branch, deleted: false };
  await gitOf(work, workplace)(repositoryOf(work, workplace), 'update-ref', '-d', `refs/heads/${branch}`);
  return { branch, deleted: true };
}

const repositoryOf = ({ planId }: Work, { repositories }: Workplace): string => join(repositories, `${planId}.git`);

async function hasBranch(branch: string, work: Work, workplace: Workplace): Promise<boolean> {
  const repository = repositoryOf(work, workplace);
  const there = await access(repository).then(
    () => true,
    () => false,
  );
  if (!there) return false;
  const found = await gitOf(work, workplace)(repository, 'for-each-ref', '--format=%(refname)', `refs/heads/${branch}`);
  return found.split('\n').includes(`refs/heads/${branch}`);
}

/** git itself says what a branch may be called; `main` is the project as given and stays so. */
async function checkBranchName(branch: string, work: Work, workplace: Workplace): Promise<void> {
  const refused = taskFailed('InvalidInput', `${branch} cannot be the name of a branch`);
  if (branch === 'main' || branch.startsWith('-')) throw refused;
  await gitOf(work, workplace)(work.folder, 'check-ref-format', `refs/heads/${branch}`).catch(() => {
    throw refused;
  });
}
