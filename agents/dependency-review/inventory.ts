import semver from 'semver';
import type { ArtifactReference } from '../../workflows/contracts/json';
import { inParallel } from '../in-parallel';
import { lockedVersions, unpackProject } from './project-folder';
import { npmOf } from './tools';
import type { Work } from '../work';
import type { Workplace } from './workplace';

export interface Outdated {
  readonly name: string;
  readonly current: string;
  readonly latest: string;
}

/** The project's own dependencies that have a newer published version than the one its lock file holds. */
export async function takeInventory(
  { project }: { readonly project: ArtifactReference },
  work: Work,
  workplace: Workplace,
): Promise<{ readonly outdated: readonly Outdated[] }> {
  const folder = await unpackProject(work, project);
  const npm = npmOf(work, workplace);
  const locked = [...(await lockedVersions(folder))];
  const found = await inParallel(locked, 4, async ([name, current]) => {
    const latest = JSON.parse(await npm(work.folder, 'view', `${name}@latest`, 'version', '--json')) as string;
    work.progress(`${name}: ${current}, latest ${latest}`);
    return { name, current, latest };
  });
  return { outdated: found.filter(({ current, latest }) => semver.gt(latest, current)) };
}
