import semver from 'semver';
import type { ArtifactReference, Json } from '../../workflows/contracts/json';
import { TaskFailed } from '../task-failed';
import { inParallel } from '../in-parallel';
import { keepJson } from './documents';
import { type OwnDependency, ownDependencies, readManifest, unpackProject } from './project-folder';
import { npmOf } from './tools';
import type { Work } from '../work';
import type { Workplace } from './workplace';

export interface Outdated {
  readonly name: string;
  readonly current: string;
  readonly latest: string;
}
/** What there is to say of each of the project's own dependencies; the lists have each of them once. */
export interface Inventory {
  readonly project: { readonly name: string; readonly version: string };
  readonly node: string;
  readonly npm: string;
  readonly outdated: readonly Outdated[];
  readonly upToDate: readonly { readonly name: string; readonly current: string }[];
  /** Outdated too, but more than one review takes on. */
  readonly left: readonly Outdated[];
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
}

// The plan goes through the list element by element, so it has to travel inside a result and not as a document.
const listBytes = 3400;

/** Compares the project's own dependencies, as its lock file holds them, with the newest published versions. */
export async function takeInventory(
  { project }: { readonly project: ArtifactReference },
  work: Work,
  workplace: Workplace,
): Promise<{ readonly outdated: readonly Outdated[]; readonly inventory: ArtifactReference }> {
  const folder = await unpackProject(work, project);
  const npm = npmOf(work, workplace);
  const { name, version } = await readManifest(folder);
  const own = await ownDependencies(folder);
  const found = await inParallel(own, 4, async (dependency) => {
    const looked = await look(dependency);
    work.progress(describe(looked));
    return looked;
  });
  const outdated = found.filter((one): one is Outdated => 'latest' in one && semver.gt(one.latest, one.current));
  const taken = outdated.filter((_, at) => Buffer.byteLength(JSON.stringify(outdated.slice(0, at + 1))) <= listBytes);
  const inventory: Inventory = {
    project: { name, version },
    node: process.versions.node,
    npm: (await npm(work.folder, '--version')).trim(),
    outdated: taken,
    upToDate: found.flatMap((one) =>
      'latest' in one && !semver.gt(one.latest, one.current) ? [{ name: one.name, current: one.current }] : [],
    ),
    left: outdated.slice(taken.length),
    skipped: found.filter((one) => 'why' in one),
  };
  return { outdated: taken, inventory: await keepJson(work, 'inventory.json', inventory as unknown as Json) };

  async function look(dependency: OwnDependency): Promise<Outdated | { readonly name: string; readonly why: string }> {
    if ('why' in dependency) return dependency;
    try {
      const answer = await npm(work.folder, 'view', `${dependency.name}@latest`, 'version', '--json');
      return { ...dependency, latest: JSON.parse(answer) as string };
    } catch (error) {
      if (!(error instanceof TaskFailed) || error.type !== 'PackageNotFound') throw error;
      return { name: dependency.name, why: 'the registry does not have it' };
    }
  }
}

const describe = (one: Outdated | { readonly name: string; readonly why: string }): string =>
  'why' in one ? `${one.name}: ${one.why}` : `${one.name}: ${one.current}, latest ${one.latest}`;
