import semver from 'semver';
import type { Difference } from './difference';

export type Risk = 'low' | 'medium' | 'high';

interface Rule {
  readonly risk: Exclude<Risk, 'low'>;
  /** The reason in words, or nothing when the rule does not apply. */
  reason(difference: Difference, node: string): string | undefined;
}

const list = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');

/** Younger versions are where a stolen account shows first. */
const settledDays = 7;

/** The whole policy. */
const rules: readonly Rule[] = [
  {
    risk: 'high',
    reason: ({ installScripts: s }) => (s.length > 0 ? `runs a new or changed install script: ${list(s)}` : undefined),
  },
  {
    risk: 'high',
    reason: ({ licence: [from, to] }) => (from === to ? undefined : `the licence changes from ${from} to ${to}`),
  },
  {
    risk: 'high',
    reason: ({ engines: [, to] }, node) =>
      semver.satisfies(node, to) ? undefined : `needs Node ${to}, and this is ${node}`,
  },
  { risk: 'high', reason: ({ becameModule }) => (becameModule ? 'is an ES module only, and was not' : undefined) },
  {
    risk: 'high',
    reason: ({ api }) => (api && api.removed.length > 0 ? `no longer exports ${list(api.removed)}` : undefined),
  },
  {
    risk: 'high',
    reason: ({ newMaintainers, lostMaintainers }) =>
      newMaintainers.length > 0 && lostMaintainers.length > 0
        ? `maintainers change from ${list(lostMaintainers)} to ${list(newMaintainers)}`
        : undefined,
  },
  {
    risk: 'high',
    reason: ({ deprecated }) => (deprecated === undefined ? undefined : `is deprecated: ${deprecated.slice(0, 120)}`),
  },
  {
    risk: 'high',
    reason: ({ jump, api }) =>
      jump === 'major' && !api ? 'a major version without declarations to compare' : undefined,
  },
  { risk: 'medium', reason: ({ jump, api }) => (jump === 'major' && api ? 'a major version' : undefined) },
  {
    risk: 'medium',
    reason: ({ api }) => (api && api.changed.length > 0 ? `declares ${list(api.changed)} differently` : undefined),
  },
  {
    risk: 'medium',
    reason: ({ newDependencies: d }) => (d.length > 0 ? `brings new dependencies: ${list(d)}` : undefined),
  },
  {
    risk: 'medium',
    reason: ({ newMaintainers: come, lostMaintainers: gone }) =>
      come.length > 0 && gone.length === 0 ? `has new maintainers: ${list(come)}` : undefined,
  },
  {
    risk: 'medium',
    reason: ({ ageDays }) =>
      ageDays !== undefined && ageDays < settledDays ? `was published only ${ageDays} days ago` : undefined,
  },
  {
    risk: 'medium',
    reason: ({ size: [from, to] }) => (to > 2 * from && to - from > 50_000 ? 'is more than twice as large' : undefined),
  },
];

/** What the classes mean, for who reads a report. */
export const policy = {
  high: 'it may break the project, or bring code or terms that nobody has looked at',
  medium: 'worth a look',
  low: 'nothing speaks against it',
} as const satisfies Record<Risk, string>;

/** The class is that of the worst rule that applies; every reason is given. `node` is the version it must run on. */
export function assessRisk(
  difference: Difference,
  node: string,
): { readonly risk: Risk; readonly reasons: readonly string[] } {
  const hits = rules.flatMap((rule) => {
    const reason = rule.reason(difference, node);
    return reason === undefined ? [] : [{ risk: rule.risk, reason }];
  });
  const risk = hits.some((hit) => hit.risk === 'high') ? 'high' : hits.length > 0 ? 'medium' : 'low';
  return { risk, reasons: hits.map(({ reason }) => reason) };
}
