import semver from 'semver';
import type { PublishedPackage } from './published-package';

/** What differs between two published versions; lists are sorted. */
export interface Difference {
  readonly jump: 'major' | 'minor' | 'patch';
  /** Paths in the package. */
  readonly files: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly string[];
  };
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
  /** Whole days since the newer one was published; absent when the registry does not tell. */
  readonly ageDays?: number;
  /** Exported names; absent when one of the two ships no type declarations. */
  readonly api?: ApiDifference;
}
export interface ApiDifference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}
/** One version in words, for a report. */
export interface Facts {
  readonly published?: string;
  readonly files: number;
  readonly bytes: number;
  readonly licence: string;
  readonly node: string;
  readonly modules: 'CommonJS' | 'ES modules' | 'both';
  readonly installScripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly maintainers?: readonly string[];
  /** Exported names. */
  readonly declared?: number;
}

export function differenceOf(before: PublishedPackage, after: PublishedPackage, now: Date): Difference {
  const [from, to] = [before.manifest, after.manifest];
  const changed = [...after.files].filter(([path, digest]) => (before.files.get(path) ?? digest) !== digest);
  const [old, current] = [before.maintainers, after.maintainers];
  return {
    jump: jumpOf(from.version, to.version),
    files: {
      added: without([...after.files.keys()], [...before.files.keys()]),
      removed: without([...before.files.keys()], [...after.files.keys()]),
      changed: changed.map(([path]) => path).sort(),
    },
    size: [before.size, after.size],
    licence: [from.license, to.license],
    engines: [from.engines['node'] ?? '*', to.engines['node'] ?? '*'],
    installScripts: Object.keys(after.installScripts).filter(
      (script) => after.installScripts[script] !== before.installScripts[script],
    ),
    newDependencies: without(Object.keys(to.dependencies), Object.keys(from.dependencies)),
    newMaintainers: old && current ? without(current, old) : [],
    lostMaintainers: old && current ? without(old, current) : [],
    becameModule: modulesOf(from) !== 'ES modules' && modulesOf(to) === 'ES modules',
    ...(after.deprecated !== undefined && { deprecated: after.deprecated }),
    ...(after.published !== undefined && {
      ageDays: Math.max(0, Math.floor((now.getTime() - Date.parse(after.published)) / 86_400_000)),
    }),
    ...(before.api && after.api && { api: apiDifference(before.api, after.api) }),
  };
}

export const factsOf = ({ manifest, ...one }: PublishedPackage): Facts => ({
  ...(one.published !== undefined && { published: one.published }),
  files: one.files.size,
  bytes: one.size,
  licence: manifest.license,
  node: manifest.engines['node'] ?? '*',
  modules: modulesOf(manifest),
  installScripts: one.installScripts,
  dependencies: manifest.dependencies,
  ...(one.maintainers && { maintainers: one.maintainers }),
  ...(one.api && { declared: one.api.size }),
});

/** What there was nothing to compare of, in words. */
export function undeterminedOf(before: PublishedPackage, after: PublishedPackage): readonly string[] {
  const version = ({ manifest }: PublishedPackage): string => manifest.version;
  const silent = [before, after].filter(({ api }) => !api).map(version);
  return [
    ...(before.maintainers && after.maintainers ? [] : ['who maintains it: the registry does not tell']),
    ...(after.published === undefined ? ['when it was published: the registry does not tell'] : []),
    ...((before.published ?? '') > (after.published ?? '~')
      ? ['when it was published: by the registry the newer version is the older one']
      : []),
    ...(silent.length === 2 ? ['its public API: it ships no type declarations'] : []),
    ...(silent.length === 1 ? [`its public API: no type declarations in ${silent.join('')}`] : []),
  ];
}

/** Below 1.0.0 a minor version may break, as a major one may above (semver.org, item 4). */
function jumpOf(from: string, to: string): Difference['jump'] {
  const jump = semver.diff(from, to);
  if (jump === 'major' || jump === 'premajor') return 'major';
  if (jump === 'minor' || jump === 'preminor') return semver.major(from) === 0 ? 'major' : 'minor';
  return 'patch';
}

function apiDifference(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): ApiDifference {
  const [from, to] = [[...before.keys()], [...after.keys()]];
  const changed = from.filter((name) => after.has(name) && after.get(name) !== before.get(name));
  return { added: without(to, from), removed: without(from, to), changed: changed.sort() };
}

const without = (all: readonly string[], known: readonly string[]): string[] =>
  all.filter((one) => !known.includes(one)).sort();

function modulesOf({ type, main, exports }: PublishedPackage['manifest']): Facts['modules'] {
  const conditions = JSON.stringify(exports ?? null);
  const required = main.endsWith('.cjs') || /"require"|\.cjs"/.test(conditions);
  const imported = type === 'module' || main.endsWith('.mjs') || conditions.includes('"import"');
  if (imported) return required || (type !== 'module' && !main.endsWith('.mjs')) ? 'both' : 'ES modules';
  return 'CommonJS';
}
