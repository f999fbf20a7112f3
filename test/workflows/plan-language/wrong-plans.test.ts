import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPlanSource } from '../../../services/runtime/plan-source';
import { validatePlan } from '../../../workflows/plan-language';
import type { Problem } from '../../../workflows/plan-problems';

interface Expected {
  readonly knownCapabilities?: readonly string[];
  readonly problems: readonly Problem[];
}
const folder = join(__dirname, 'wrong');
const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<string, Expected>;
const check = (file: string, options: Parameters<typeof validatePlan>[1] = {}): readonly Problem[] => {
  const source = readPlanSource(readFileSync(join(folder, file), 'utf8'));
  const { problems } =
    source.value === undefined
      ? { problems: [] }
      : validatePlan(source.value, { lineOf: source.lineOf, sourceOf: source.sourceOf, ...options });
  return [...source.problems, ...problems].sort((a, b) => a.line - b.line);
};

describe('wrong plans', () => {
  it.each(readdirSync(folder).filter((name) => name.endsWith('.yaml')))(
    '%s gets its problems, each with its line and remedy',
    (file) => {
      const { problems, knownCapabilities } = expected[file] ?? { problems: [] };
      expect(problems.length).toBeGreaterThan(0);
      expect(check(file, { served: 'B', ...(knownCapabilities && { knownCapabilities }) })).toEqual(problems);
    },
  );

  it('has a plan for each expectation', () => {
    expect(Object.keys(expected).sort()).toEqual(
      readdirSync(folder)
        .filter((name) => name.endsWith('.yaml'))
        .sort(),
    );
  });

  it.each(['approval-quorum-impossible.yaml', 'for-each-and-repeat.yaml', 'plan-unknown.yaml', 'money-as-number.yaml'])(
    '%s is refused by this stage for its later fields too',
    (file) => {
      expect(check(file).map(({ code }) => code)).toContain('NOT_SERVED');
    },
  );
});
