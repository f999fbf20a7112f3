import semver from 'semver';
import { download, type PublishedPackage } from './published-package';
import { assessRisk, type Risk } from './risk';
import type { Work } from '../work';
import type { Workplace } from './workplace';

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
export interface Comparison {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly risk: Risk;
  readonly reasons: readonly string[];
  /** One paragraph for people. */
  readonly summary: string;
}

/** Compares two published versions by what their tarballs and the registry say. No code of theirs runs. */
export async function comparePackage(
  { name, from, to }: { readonly name: string; readonly from: string; readonly to: string },
  work: Work,
  workplace: Workplace,
): Promise<Comparison> {
  const [before, after] = await download(name, [from, to], work, workplace);
  const difference = differenceOf(before, after);
  const { risk, reasons } = assessRisk(difference, process.versions.node);
  return { name, from, to, risk, reasons, summary: summarize(difference) };
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

function summarize({ jump, files, size, api, engines, licence }: Difference): string {
  const names = (list: readonly string[]): string =>
    list.length > 5 ? `${list.slice(0, 5).join(', ')} and ${list.length - 5} more` : list.join(', ');
  const parts = [
    `${jump} version`,
    `files: ${files.changed} changed, ${files.added} added, ${files.removed} removed`,
    `${kilobytes(size[0])} to ${kilobytes(size[1])}`,
    licence[0] === licence[1] ? `licence ${licence[1]}` : `licence ${licence[0]} to ${licence[1]}`,
    ...(engines[0] === engines[1] ? [] : [`Node ${engines[0]} to ${engines[1]}`]),
    ...(api
      ? [
          `declared API: ${api.added.length} added, ${api.removed.length} removed, ${api.changed.length} changed` +
            (api.removed.length > 0 ? ` (removed: ${names(api.removed)})` : ''),
        ]
      : ['no type declarations to compare']),
  ];
  return `${parts.join('; ')}.`;
}
const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
