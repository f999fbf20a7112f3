import { evaluateExpression, toCel } from '../../workflows/expressions';
import type { Json } from '../../workflows/contracts/json';
import { advance } from '../../workflows/plan-progress';
import { taskOf } from '../../workflows/plan-state';
import { begin, plan, task } from '../support/plans';

const numbers = Array.from({ length: 1000 }, (_, index) => index);
const evaluate = (source: string, inputs: Json): Json => evaluateExpression(source, { inputs: toCel(inputs) });
const doubled = (first: string, join: (name: string) => string, times: number): string =>
  Array.from({ length: times }, (_, at) => at).reduceRight(
    (inner, at) => `cel.bind(v${at}, ${at === 0 ? first : join(`v${at - 1}`)}, ${inner})`,
    `v${times - 1}`,
  );

describe('the work of an expression', () => {
  it('allows a loop in a loop over 300 elements each', () => {
    const found = evaluate('inputs.xs.filter(x, inputs.ys.exists(y, y == x + 1000)).size()', {
      xs: numbers.slice(0, 300),
      ys: numbers.slice(0, 300),
    });
    expect(found).toBe(0);
  });

  it('allows to look for each of 1,000 texts in a long one', () => {
    const words = numbers.map((n) => `word ${n}`);
    const text = words.join(', ').padEnd(32_000);
    expect(evaluate('inputs.words.filter(w, inputs.text.contains(w)).size()', { words, text })).toBe(1000);
  });

  it.each([
    ['loops over long lists', 'inputs.zs.filter(x, inputs.zs.exists(y, x == y + 10000)).size()'],
    ['loops whose errors an operator swallows', 'inputs.zs.exists(x, inputs.zs.all(y, y >= 0) && false) || true'],
    ['comparing lists again and again', 'inputs.zs.map(z, inputs.xs.filter(x, inputs.zs == inputs.zs)).size()'],
    ['looking into lists again and again', 'inputs.zs.filter(z, (z + 10000) in inputs.zs).size()'],
    ['doubled lists', doubled('[1, 2, 3, 4]', (name) => `${name} + ${name}`, 26)],
    ['doubled texts', doubled('"0123456789abcdef"', (name) => `${name} + ${name}`, 28)],
    ['lists that hold one twice', doubled('[1]', (name) => `[${name}, ${name}]`, 21)],
  ])('stops %s', (_name, source) => {
    const zs = Array.from({ length: 2000 }, (_, index) => index);
    expect(() => evaluate(source, { xs: numbers, zs })).toThrow(
      'it takes more than 1000000 steps; do a part of it in a task',
    );
  });

  it('fails the task whose expression it is, not the plan engine, and begins anew for the next', () => {
    const zs = Array.from({ length: 2000 }, (_, index) => index);
    const costly = '${{ inputs.zs.filter(x, inputs.zs.exists(y, x == y + 10000)).size() }}';
    const run = begin(
      plan([
        task('costly', { with: { n: costly }, onFailure: 'continue' }),
        task('cheap', { with: { n: '${{ size(inputs.zs) }}' } }),
      ]),
      { zs },
    );
    expect(taskOf(run, 'costly')).toMatchObject({ state: 'failed', failure: { type: 'ExpressionFailed' } });
    expect(run.effects.dispatches).toMatchObject([{ taskId: 'cheap', arguments: { n: 2000 } }]);
  });

  it('is spread over turns when many tasks, items and conditions take long together', () => {
    const xs = numbers.slice(0, 280);
    const costly = 'inputs.xs.exists(x, inputs.xs.exists(y, y == x + 1000))';
    const run = begin(
      plan([
        task('each', {
          forEach: { in: '${{ inputs.xs.filter(x, x < 4) }}', maxItems: 10, maxFailurePercent: 0 },
          with: { found: `\${{ ${costly} || item < 0 }}` },
        }),
        ...['a', 'b', 'c', 'd'].map((id) => task(id, { when: `\${{ !${costly} }}` })),
      ]),
      { xs },
    );
    const sent = [run.effects.dispatches.length];
    while (run.goesOn) {
      advance(run, 1);
      sent.push(run.effects.dispatches.length);
    }
    expect(sent.length).toBeGreaterThan(1);
    expect(sent.at(-2)).toBeLessThan(8);
    expect(run.effects.dispatches.map(({ taskId }) => taskId).sort()).toEqual([
      'a',
      'b',
      'c',
      'd',
      'each.0',
      'each.1',
      'each.2',
      'each.3',
    ]);
  });
});
