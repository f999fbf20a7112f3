import { differenceOf, type Difference } from './difference';
import { download } from './published-package';
import { assessRisk, type Risk } from './risk';
import type { Work } from '../work';
import type { Workplace } from './workplace';

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
