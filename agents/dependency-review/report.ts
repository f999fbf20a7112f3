import type { ArtifactReference } from '../../workflows/contracts/json';
import { kilobytes, type Evidence } from './compare';
import type { Facts } from './difference';
import type { Inventory } from './inventory';
import { policy, type Risk } from './risk';
import type { TestResult } from './run-tests';

/** A step of the review that came to no result. */
export interface Unfinished {
  readonly name: string;
  readonly step: string;
  readonly problem: string;
}
/** What came of it, once a person has answered. */
export interface Conclusion {
  readonly applied?: {
    readonly branch: string;
    readonly commit: string;
    readonly diff: ArtifactReference;
    readonly upgrades: readonly { readonly name: string; readonly from: string; readonly to: string }[];
    readonly tests?: Pick<TestResult, 'passed' | 'milliseconds'>;
  };
  readonly declined?: { readonly type: string; readonly message: string };
}
export interface Review {
  readonly inventory: Inventory;
  readonly comparisons: readonly Evidence[];
  readonly tests: readonly TestResult[];
  /** The tests of the project as given. */
  readonly baseline?: TestResult;
  readonly unfinished: readonly Unfinished[];
  readonly conclusion?: Conclusion;
}

type Advice = 'take' | 'look' | 'hold';
interface Row {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly evidence?: Evidence;
  readonly test?: TestResult;
  readonly advice: Advice;
}
const order: Readonly<Record<Advice, number>> = { hold: 0, look: 1, take: 2 };

/** The review in Markdown, what needs eyes first; texts from packages cannot become markup of their own. */
export function writeReport(review: Review): string {
  const { inventory, conclusion } = review;
  const rows = rowsOf(review);
  const { name, version } = inventory.project;
  return `${[
    [`# Dependency review of ${plain(`${name} ${version}`.trim())}`],
    ...(conclusion ? concluded(conclusion, rows) : []),
    [overview(review, rows)],
    ...(rows.length > 0 ? [[advice(rows)], table(rows)] : []),
    ...openEnds(review, rows),
    ...(rows.length > 0 ? [['## Package by package']] : []),
    ...rows.flatMap((row) => details(row, review)),
    ...(rows.length > 0 ? method(review) : []),
  ]
    .map((block) => block.join('\n'))
    .join('\n\n')}\n`;
}

function rowsOf({ inventory, comparisons, tests, baseline }: Review): readonly Row[] {
  const rows = inventory.outdated.map(({ name, current, latest }): Row => {
    const evidence = comparisons.find((one) => one.name === name);
    const test = tests.find((one) => one.name === name);
    const isSure = evidence?.risk === 'low' && test?.passed === true && baseline?.passed === true;
    const isBad = evidence?.risk === 'high' || test?.passed === false || !evidence;
    return {
      name,
      from: current,
      to: latest,
      ...(evidence && { evidence }),
      ...(test && { test }),
      advice: isBad ? 'hold' : isSure ? 'take' : 'look',
    };
  });
  return [...rows].sort((a, b) => order[a.advice] - order[b.advice] || a.name.localeCompare(b.name));
}

function overview({ inventory, baseline, tests }: Review, rows: readonly Row[]): string {
  const { outdated, upToDate, left, skipped } = inventory;
  const all = outdated.length + upToDate.length + left.length + skipped.length;
  const risks = (['high', 'medium', 'low'] as const)
    .map((risk) => ({ risk, count: rows.filter(({ evidence }) => evidence?.risk === risk).length }))
    .filter(({ count }) => count > 0)
    .map(({ risk, count }) => `${count} of ${risk} risk`);
  const before = baseline
    ? `The project's own tests ${baseline.passed ? 'pass' : '**fail**'} before any upgrade` +
      (baseline.passed ? ` (${seconds(baseline.milliseconds)}).` : ', so a red run below says little.')
    : "Whether the project's own tests pass before any upgrade could not be found out.";
  const notRun = rows.filter(({ test }) => !test).length;
  const parts = [
    `Of ${countOf(all, 'direct dependency', 'direct dependencies')} ${outdated.length === 0 ? 'none is' : `**${outdated.length + left.length}** ${outdated.length + left.length === 1 ? 'is' : 'are'}`} outdated${risks.length > 0 ? `: ${risks.join(', ')}` : ''}.`,
    ...(rows.length > 0
      ? [
          before,
          `They pass with ${tests.filter(({ passed }) => passed).length} of the ${rows.length} upgrades, each tried alone in a copy of its own${notRun > 0 ? `; with ${notRun} they were not run` : ''}.`,
        ]
      : []),
  ];
  return parts.join(' ');
}

function advice(rows: readonly Row[]): string {
  const of = (wanted: Advice): string => {
    const names = rows.filter((row) => row.advice === wanted).map(({ name }) => plain(name));
    return names.length === 0 ? '' : `**${wanted}** ${names.join(', ')}`;
  };
  return `Advice: ${[of('take'), of('look'), of('hold')].filter(Boolean).join('; ')}.`;
}

const table = (rows: readonly Row[]): string[] => [
  '| package | from | to | step | risk | tests | advice | first reason |',
  '| - | - | - | - | - | - | - | - |',
  ...rows.map(
    (row) =>
      `| ${[
        row.name,
        row.from,
        row.to,
        row.evidence?.difference.jump ?? '?',
        row.evidence?.risk ?? 'not known',
        verdict(row.test),
        row.advice,
        firstReason(row),
      ]
        .map(plain)
        .join(' | ')} |`,
  ),
];

const verdict = (test: TestResult | undefined): string =>
  test ? (test.passed ? 'pass' : test.ran ? 'FAIL' : 'cannot be installed') : 'not run';

function firstReason({ evidence, test }: Row): string {
  if (test?.passed === false) return test.ran ? 'the tests fail with it' : 'npm refuses it';
  if (!evidence) return 'could not be compared';
  const [first, ...others] = evidence.reasons;
  return first === undefined ? '' : `${first}${others.length > 0 ? ` (and ${others.length} more)` : ''}`;
}

/** What the reader must not take for checked. */
function openEnds({ inventory, unfinished }: Review, rows: readonly Row[]): string[][] {
  const blind = new Map<string, string[]>();
  for (const { name, evidence } of rows)
    for (const what of evidence?.undetermined ?? []) blind.set(what, [...(blind.get(what) ?? []), name]);
  const lines = [
    ...unfinished.map(({ name, step, problem }) => `- ${plain(name)}: ${step} failed. ${plain(problem)}`),
    ...inventory.skipped.map(({ name, why }) => `- ${plain(name)} was left out: ${plain(why)}.`),
    ...inventory.left.map(
      ({ name, current, latest }) =>
        `- ${plain(name)} ${current} to ${latest} was left for the next review: one takes on no more than ${inventory.outdated.length}.`,
    ),
    ...[...blind].map(
      ([what, names]) =>
        `- ${plain(capital(what))} (${names.length === rows.length ? 'all of them' : plain(names.join(', '))}).`,
    ),
  ];
  return lines.length === 0 ? [] : [['## What could not be determined'], lines];
}

function details({ name, from, to, evidence, test }: Row, { unfinished }: Review): string[][] {
  const blocks: string[][] = [
    [
      `### ${plain(name)} ${plain(from)} to ${plain(to)}${evidence ? `: ${evidence.difference.jump}, ${evidence.risk} risk` : ''}`,
    ],
  ];
  if (evidence) {
    if (evidence.reasons.length > 0) blocks.push(evidence.reasons.map((reason) => `- ${plain(capital(reason))}`));
    else blocks.push(['Nothing speaks against it.']);
    if (evidence.lesser !== undefined)
      blocks.push([`A smaller step: ${plain(evidence.lesser)}, the newest one without a major change (not tried).`]);
    blocks.push(factTable(evidence));
    blocks.push(...declarations(evidence));
  } else blocks.push(unfinished.filter((one) => one.name === name).map(({ problem }) => plain(problem)));
  if (!test) blocks.push(['The tests were not run with it.']);
  else if (test.passed) blocks.push([`The tests pass with it (${seconds(test.milliseconds)}).`]);
  else
    blocks.push([test.ran ? 'The tests fail with it:' : 'npm cannot install it:'], fenced(test.problem, 'text'), [
      `The whole log: \`aats artifact get ${test.log.artifact}\``,
    ]);
  return blocks.filter((block) => block.length > 0);
}

function factTable({ before, after, from, to, difference }: Evidence): string[] {
  const { files, api } = difference;
  const row = (what: string, show: (facts: Facts) => string, more = ''): string =>
    `| ${[what, show(before), show(after), more].map(plain).join(' | ')} |`;
  return [
    `| | ${plain(from)} | ${plain(to)} | in particular |`,
    '| - | - | - | - |',
    row('published', ({ published }) => published?.slice(0, 10) ?? 'not told'),
    row(
      'files',
      (facts) => String(facts.files),
      [some('added', files.added), some('removed', files.removed), `${files.changed.length} changed`]
        .filter(Boolean)
        .join('; '),
    ),
    row('unpacked', ({ bytes }) => kilobytes(bytes)),
    row('licence', ({ licence }) => licence),
    row('Node', ({ node }) => (node === '*' ? 'any' : node)),
    row('modules', ({ modules }) => modules),
    row('install scripts', ({ installScripts }) => entries(installScripts), some('changed', difference.installScripts)),
    row('dependencies', ({ dependencies }) => entries(dependencies), some('new', difference.newDependencies)),
    row(
      'maintainers',
      ({ maintainers }) => (maintainers ? maintainers.join(', ') || 'none' : 'not told'),
      [some('new', difference.newMaintainers), some('gone', difference.lostMaintainers)].filter(Boolean).join('; '),
    ),
    row(
      'declared names',
      ({ declared }) => (declared === undefined ? 'none shipped' : String(declared)),
      api
        ? [some('added', api.added), some('removed', api.removed), some('changed', api.changed)]
            .filter(Boolean)
            .join('; ')
        : '',
    ),
  ];
}

const declarationsShown = 6;
const declarationCharacters = 240;
const declarationLead = 60;

/** How names were declared before and after, where the two begin to differ. */
function declarations({ declarations: all }: Evidence): string[][] {
  const names = Object.entries(all);
  if (names.length === 0) return [];
  const lines = names.slice(0, declarationsShown).flatMap(([name, [before, after]]) => {
    const from = before === '' || after === '' ? 0 : Math.max(0, commonStart(before, after) - declarationLead);
    const part = (text: string): string =>
      `${from > 0 ? '… ' : ''}${text.slice(from, from + declarationCharacters)}` +
      (text.length > from + declarationCharacters ? ' …' : '');
    return [
      `@@ ${name} @@`,
      ...(before === '' ? [] : [`- ${part(before)}`]),
      ...(after === '' ? [] : [`+ ${part(after)}`]),
    ];
  });
  return [fenced(lines.join('\n'), 'diff')];
}

function commonStart(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}

function concluded({ applied, declined }: Conclusion, rows: readonly Row[]): string[][] {
  if (declined)
    return [['## What came of it'], [`Nothing is applied. ${plain(declined.type)}: ${plain(declined.message)}`]];
  if (!applied) return [];
  const { upgrades, branch, commit, tests } = applied;
  const chosen =
    upgrades.length === 0
      ? 'No upgrade was chosen.'
      : `${upgrades.length} of ${rows.length} upgrades were chosen and are on the branch \`${branch}\`, commit \`${commit.slice(0, 12)}\`.`;
  const tested =
    tests && upgrades.length > 0
      ? `With all of them together the tests ${tests.passed ? 'pass' : 'fail'} (${seconds(tests.milliseconds)}).`
      : '';
  return [
    ['## What came of it'],
    [[chosen, tested].filter(Boolean).join(' ')],
    upgrades.map(({ name, from, to }) => {
      const row = rows.find((one) => one.name === name);
      const aside = row?.to === to ? `${row.advice} was the advice` : 'another version than the one that was reviewed';
      return `- ${plain(name)} ${plain(from)} to ${plain(to)} (${aside})`;
    }),
  ].filter((block) => block.length > 0);
}

function method({ inventory }: Review): string[][] {
  const meaning = (risk: Risk): string => `- ${capital(risk)}: ${policy[risk]}.`;
  return [
    ['## How this was found'],
    [
      `Versions are those of package-lock.json against the registry's \`latest\`. Both published archives were downloaded and compared; none of their scripts ran. The tests ran with Node ${plain(inventory.node)} and npm ${plain(inventory.npm)}, one upgrade at a time, without install scripts and without the agent's environment: a package that needs its install script may fail for that alone. Declarations are compared as text, those of the main entry only.`,
    ],
    [meaning('high'), meaning('medium'), meaning('low')],
    [
      '*take*: low risk, and the tests pass with and without it. *hold*: high risk, red tests, or not compared. *look*: all others.',
    ],
  ];
}

const shown = 6;
/** `added a, b and 3 more`; empty for nothing. */
function some(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const rest = names.length - shown;
  return `${what} ${names.slice(0, shown).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
const entries = (all: Readonly<Record<string, string>>): string => {
  const list = Object.entries(all).map(([name, value]) => `${name} ${value.slice(0, 60)}`);
  return list.length === 0 ? 'none' : list.slice(0, shown).join(', ') + (list.length > shown ? ' …' : '');
};
const countOf = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const plain = (text: string): string => text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>|#!]/g, '\\$&');

/** A fence longer than any run of backticks inside. */
function fenced(text: string, language: string): string[] {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}${language}`, text, fence];
}
