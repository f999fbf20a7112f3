import type { Comparison } from './compare';
import type { TestResult } from './run-tests';

/** What the plan declares of a comparison and a test run; the rest is told when it is there. */
type Known<T, K extends keyof T> = Pick<T, K> & { readonly [P in Exclude<keyof T, K>]?: T[P] | undefined };
type Change = Known<Comparison, 'name' | 'to' | 'risk' | 'summary'>;
type Test = Known<TestResult, 'name' | 'passed'>;

const order = { high: 0, medium: 1, low: 2 } as const;

/** The review in Markdown, worst first; texts from packages cannot become markup of their own. */
export function writeReport(changes: readonly Change[], tests: readonly Test[]): string {
  const sorted = [...changes].sort((a, b) => order[a.risk] - order[b.risk] || a.name.localeCompare(b.name));
  const testOf = (name: string): Test | undefined => tests.find((test) => test.name === name);
  const verdict = (name: string): string => {
    const test = testOf(name);
    return test ? (test.passed ? 'passed' : 'failed') : 'not run';
  };
  const count = (risk: Change['risk']): number => changes.filter((change) => change.risk === risk).length;
  const passed = tests.filter((test) => test.passed).length;
  const lines = [
    '# Dependency review',
    '',
    changes.length === 0
      ? 'Nothing is outdated.'
      : `${changes.length} packages are outdated: ${count('high')} of high, ${count('medium')} of medium and ` +
        `${count('low')} of low risk. The tests passed with ${passed} of ${tests.length} upgrades, each tried alone.`,
  ];
  if (changes.length > 0) {
    lines.push('', '| package | from | to | risk | tests |', '| - | - | - | - | - |');
    for (const { name, from, to, risk } of sorted) {
      lines.push(`| ${[name, from ?? '', to, risk, verdict(name)].map(plain).join(' | ')} |`);
    }
  }
  for (const { name, from, to, summary, reasons = [] } of sorted) {
    lines.push('', `## ${plain(name)} ${plain(from ?? '')} to ${plain(to)}`, '', plain(summary));
    if (reasons.length > 0) lines.push('', ...reasons.map((reason) => `- ${plain(reason)}`));
    const test = testOf(name);
    if (test?.passed === false && test.problem) lines.push('', 'The tests fail:', '', fenced(test.problem));
  }
  return `${lines.join('\n')}\n`;
}

const plain = (text: string): string => text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>|#!]/g, '\\$&');

/** A fence longer than any run of backticks inside. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${text}\n${fence}`;
}
