import type { Json } from '../../workflows/contracts/json';
import { validateValue } from '../../workflows/json-schema';
import { applyReport } from '../../workflows/plan-reports';
import { begin, plan, task } from '../support/plans';

const reference = (more: Record<string, Json> = {}): Json => ({
  artifact: `sha256:${'a'.repeat(64)}`,
  name: 'report.md',
  mediaType: 'text/markdown',
  size: 12,
  ...more,
});
const artifact = { type: 'object', format: 'artifact', contentMediaType: 'text/markdown' };

describe('a hostile or careless report', () => {
  it('of a task that is not in the plan is not kept', () => {
    const run = begin(plan([task('a')]));
    for (const taskId of ['b', 'b.0', '', 'x'.repeat(1_000_000), '__proto__'])
      applyReport(run, { planId: 'p', taskId, attempt: 1, agent: 'a-1', at: '', kind: 'succeeded', output: 1 }, 1);
    applyReport(run, { planId: 'p', taskId: 'a.7', attempt: 1, agent: 'a-1', at: '', kind: 'lost' }, 1);
    expect([...run.early.keys()]).toEqual(['a.7']);
  });

  it.each<[string, Json]>([
    ['size is a text', reference({ size: '12' })],
    ['size is negative', reference({ size: -1 })],
    ['name is a map', reference({ name: {} })],
    ['media type is null', reference({ mediaType: null })],
  ])('brings no artifact when its %s', (_, value) => {
    expect(validateValue(artifact, value)).toHaveLength(1);
  });

  it.each<[string, Record<string, Json>, (one: Json) => Json]>([
    ['behind a reference', { $ref: '#/$defs/a~1b', $defs: { 'a/b': artifact } }, (one) => one],
    ['in a map of any names', { additionalProperties: artifact }, (one) => ({ constructor: one })],
    ['in a list of several kinds', { prefixItems: [{}, artifact] }, (one) => [1, one]],
    ['among all of several schemas', { allOf: [{ type: 'object' }, artifact] }, (one) => one],
  ])('is checked for artifacts %s', (_, schema, place) => {
    expect(validateValue(schema, place(reference()))).toEqual([]);
    expect(validateValue(schema, place({ artifact: 'nothing' }))).toHaveLength(1);
    expect(validateValue(schema, place(reference({ mediaType: 'text/html' })))).toHaveLength(1);
  });
});
