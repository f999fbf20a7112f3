import semver from 'semver';
import type { PublishedPackage } from './published-package';

/** What differs between two published versions; lists are sorted. */
export interface Difference {
  readonly jump: 'major' | 'minor' | 'patch';
  readonly files: { readonly added: number; readonly removed: number; readonly changed: number };
  /** Unpacked bytes before and after. */
  readonly size: readonly [number, number];
  readonly licence: readonly [string, string];
  readonly engines: readonly [string, string];
  /** Install scripts that are new or not the same as before. */
  readonly installScripts: readonly string[];
  readonly newDependencies: readonly string[];
  readonly newMaintainers: readonly string[];
  readonly lostMaintainers: readonly string[];
  /** It was made for require() and is an ES module only now. */
  readonly becameModule: boolean;
  readonly deprecated?: string;
  /** Exported names; absent when one of the two ships no type declarations. */
  readonly api?: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly string[];
  };
}
export function differenceOf(before: PublishedPackage, after: PublishedPackage): Difference {
  const [from, to] = [before.manifest, after.manifest];
  const gone = [...before.files.keys()].filter((path) => !after.files.has(path));
  const come = [...after.files.keys()].filter((path) => !before.files.has(path));
  const changed = [...after.files].filter(([path, digest]) => (before.files.get(path) ?? digest) !== digest);
  return {
    jump: jumpOf(from.version, to.version),
    files: { added: come.length, removed: gone.length, changed: changed.length },
    size: [before.size, after.size],
    licence: [from.license, to.license],
    engines: [from.engines['node'] ?? '*', to.engines['node'] ?? '*'],
    installScripts: Object.keys(after.installScripts).filter(
      (script) => after.installScripts[script] !== before.installScripts[script],
    ),
    newDependencies: without(Object.keys(to.dependencies), Object.keys(from.dependencies)),
    newMaintainers: before.maintainers.length > 0 ? without(after.maintainers, before.maintainers) : [],
    lostMaintainers: after.maintainers.length > 0 ? without(before.maintainers, after.maintainers) : [],
    becameModule: !isModuleOnly(from) && isModuleOnly(to),
    ...(after.deprecated !== undefined && { deprecated: after.deprecated }),
    ...(before.api && after.api && { api: apiDifference(before.api, after.api) }),
  };
}

/** Below 1.0.0 a minor version may break, as a major one may above (semver.org, item 4). */
function jumpOf(from: string, to: string): Difference['jump'] {
  const jump = semver.diff(from, to);
  if (jump === 'major' || jump === 'premajor') return 'major';
  if (jump === 'minor' || jump === 'preminor') return semver.major(from) === 0 ? 'major' : 'minor';
  return 'patch';
}

function apiDifference(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): NonNullable<Difference['api']> {
  const [from, to] = [[...before.keys()], [...after.keys()]];
  const changed = from.filter((name) => after.has(name) && after.get(name) !== before.get(name));
  return { added: without(to, from), removed: without(from, to), changed: changed.sort() };
}

const without = (all: readonly string[], known: readonly string[]): string[] =>
  all.filter((one) => !known.includes(one)).sort();

function isModuleOnly({ type, main, exports }: PublishedPackage['manifest']): boolean {
  if (main.endsWith('.cjs') || JSON.stringify(exports ?? null).includes('"require"')) return false;
  return type === 'module' || main.endsWith('.mjs');
}
