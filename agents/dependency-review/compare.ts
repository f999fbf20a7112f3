import semver from 'semver';
import type { ArtifactReference, Json } from '../../workflows/contracts/json';
import { differenceOf, type Difference, type Facts, factsOf, undeterminedOf } from './difference';
import { keepJson } from './documents';
import { download, newestIn, type PublishedPackage } from './published-package';
import { assessRisk, type Risk } from './risk';
import type { Work } from '../work';
import type { Workplace } from './workplace';

/** What a plan's expressions need of a comparison. */
export interface Comparison {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly risk: Risk;
  /** One paragraph for people. */
  readonly summary: string;
  /** All that was found, for the report. */
  readonly evidence: ArtifactReference;
}
export interface Evidence {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly risk: Risk;
  readonly reasons: readonly string[];
  readonly difference: Difference;
  readonly before: Facts;
  readonly after: Facts;
  /** Declarations before and after of names that changed or went. */
  readonly declarations: Readonly<Record<string, readonly [string, string]>>;
  /** The newest version that is no major step away, when the compared one is. */
  readonly lesser?: string;
  readonly undetermined: readonly string[];
}

/** Compares two published versions by what their tarballs and the registry say. No code of theirs runs. */
export async function comparePackage(
  { name, from, to }: { readonly name: string; readonly from: string; readonly to: string },
  work: Work,
  workplace: Workplace,
): Promise<Comparison> {
  const [before, after] = await download(name, [from, to], work, workplace);
  const difference = differenceOf(before, after, new Date());
  const { risk, reasons } = assessRisk(difference, process.versions.node);
  const lesser = difference.jump === 'major' ? await newestIn(name, `^${from}`, work, workplace) : undefined;
  const evidence: Evidence = {
    name,
    from,
    to,
    risk,
    reasons,
    difference,
    before: factsOf(before),
    after: factsOf(after),
    declarations: declarationsOf(before, after, difference),
    ...(lesser !== undefined && semver.gt(lesser, from) && { lesser }),
    undetermined: undeterminedOf(before, after),
  };
  return {
    name,
    from,
    to,
    risk,
    summary: summarize(difference, reasons).slice(0, 600),
    evidence: await keepJson(work, `${name.replace(/[@/]+/g, '-')}.json`, evidence as unknown as Json),
  };
}

const declarationsShown = 20;

function declarationsOf(
  before: PublishedPackage,
  after: PublishedPackage,
  { api }: Difference,
): Evidence['declarations'] {
  const names = [...(api?.removed ?? []), ...(api?.changed ?? [])].slice(0, declarationsShown);
  return Object.fromEntries(
    names.map((one) => [one, [before.api?.get(one) ?? '', after.api?.get(one) ?? ''] as const] as const),
  );
}

function summarize({ jump, files, size, api, engines, licence }: Difference, reasons: readonly string[]): string {
  const parts = [
    `${jump} version`,
    ...reasons.filter((reason) => reason !== `a ${jump} version`),
    `files: ${countsOf(files)}`,
    `${kilobytes(size[0])} to ${kilobytes(size[1])}`,
    ...(licence[0] === licence[1] ? [`licence ${licence[1]}`] : []),
    ...(engines[0] === engines[1] ? [] : [`Node ${engines[0]} to ${engines[1]}`]),
    api ? `declared API: ${countsOf(api)}` : 'no type declarations to compare',
  ];
  return `${parts.join('; ')}.`;
}
/** What there is none of goes without saying. */
const countsOf = (all: Readonly<Record<'changed' | 'added' | 'removed', readonly unknown[]>>): string =>
  (['changed', 'added', 'removed'] as const)
    .flatMap((what) => (all[what].length > 0 ? [`${all[what].length} ${what}`] : []))
    .join(', ') || 'unchanged';

export const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
