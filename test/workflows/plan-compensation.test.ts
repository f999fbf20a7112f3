import type { TaskReport } from '../../workflows/contracts/messages';
import { cancelPlan } from '../../workflows/plan-commands';
import { advance } from '../../workflows/plan-progress';
import { applyReport } from '../../workflows/plan-reports';
import { decodeSnapshot, encodeSnapshot } from '../../workflows/plan-snapshot';
import { createRun } from '../../workflows/plan-start';
import { noEffects, type PlanRun, taskOf } from '../../workflows/plan-state';
import { headerOf } from '../../workflows/plan-view';
import { begin, compensation, input, once, plan, task } from '../support/plans';

const undo = { ...compensation('undo'), retry: once };
const say = (run: PlanRun, taskId: string, kind: 'succeeded' | 'failed'): void => {
  const { attempt } = taskOf(run, taskId);
  const base = { planId: 'p', taskId, attempt, agent: 'a', at: '' };
  const report: TaskReport =
    kind === 'succeeded'
      ? { ...base, kind, output: {} }
      : { ...base, kind, failure: { type: 'Broken', message: 'it broke' }, retryable: false };
  applyReport(run, report, 1);
};
/** What was sent since the last call. */
const sent = (run: PlanRun): readonly { readonly taskId: string; readonly capability: string }[] => {
  const { dispatches } = run.effects;
  run.effects = noEffects();
  return dispatches;
};
/** Answers everything that is sent, in its order, until nothing is. */
const answerAll = (run: PlanRun, answer: (taskId: string, capability: string) => 'succeeded' | 'failed'): string[] => {
  const order: string[] = [];
  for (let batch = sent(run); batch.length > 0; batch = sent(run)) {
    for (const { taskId, capability } of batch) {
      order.push(`${capability} ${taskId}`);
      say(run, taskId, answer(taskId, capability));
    }
    advance(run, 1);
  }
  return order;
};

const xs = { xs: [1, 2, 3] };
const each = (more: Parameters<typeof task>[1] = {}) =>
  task('each', {
    forEach: { in: '${{ inputs.xs }}', maxItems: 100, maxFailurePercent: 0 },
    compensation: undo,
    retry: once,
    ...more,
  });
const broken = (needs: readonly string[]) => task('broken', { needs, retry: once });

describe('compensation', () => {
  it('goes through a chain of 10,000 tasks, whatever becomes of each', () => {
    const withNothing = { ...undo, with: { x: '${{ inputs.nothing }}' } };
    const chain = Array.from({ length: 10_000 }, (_, at) =>
      task(`t${at}`, { needs: at === 0 ? [] : [`t${at - 1}`], compensation: withNothing }),
    );
    const run = createRun(input(plan(chain)), {
      state: 'running',
      compensation: 'none',
      cursor: 0,
      resultParts: [],
      tasks: chain.map(({ id }, of) => ({
        ...{ id, of, attempt: 1, tries: 1, round: 0, attempts: [], everDispatched: true },
        state: of === 9_999 ? 'dispatched' : 'succeeded',
      })),
    });
    cancelPlan(run);
    advance(run, 1);
    expect(headerOf(run)).toMatchObject({
      state: 'cancelled',
      compensation: 'incomplete',
      counts: { compensationFailed: 10_000 },
    });
  });

  it('undoes items before what they needed, and the forEach shows what became of them', () => {
    const run = begin(plan([task('first', { compensation: undo }), each({ needs: ['first'] }), broken(['each'])]), xs);
    const order = answerAll(run, (taskId) => (taskId === 'broken' ? 'failed' : 'succeeded'));
    expect(order).toEqual([
      ...['echo first', 'echo each.0', 'echo each.1', 'echo each.2', 'echo broken'],
      ...['undo each.0', 'undo each.1', 'undo each.2', 'undo first'],
    ]);
    expect(headerOf(run)).toMatchObject({
      state: 'failed',
      compensation: 'done',
      counts: { compensated: 2, failed: 1 },
    });
  });

  it('goes on when one fails for good, and says so of its forEach', () => {
    const run = begin(plan([task('first', { compensation: undo }), each({ needs: ['first'] }), broken(['each'])]), xs);
    answerAll(run, (taskId, capability) =>
      taskId === 'broken' || (taskId === 'each.1' && capability === 'undo') ? 'failed' : 'succeeded',
    );
    expect(taskOf(run, 'each').state).toBe('compensationFailed');
    expect(headerOf(run)).toMatchObject({ compensation: 'incomplete', counts: { compensated: 1 } });
  });

  it('sends nothing while the run is about to end, and goes on in the next one', () => {
    const definition = plan([task('a', { compensation: undo }), broken(['a'])]);
    const run = begin(definition);
    say(run, 'a', 'succeeded');
    advance(run, 1);
    sent(run);
    say(run, 'broken', 'failed');
    advance(run, 1, false);
    expect(sent(run)).toEqual([]);
    const later = createRun(input(definition), decodeSnapshot(encodeSnapshot(run), definition, 0));
    advance(later, 2);
    expect(sent(later)).toMatchObject([{ taskId: 'a', capability: 'undo' }]);
    say(later, 'a', 'succeeded');
    advance(later, 3);
    expect(later.state).toBe('failed');
  });

  it('has at most 2,000 under way', () => {
    const numbers = Array.from({ length: 2_500 }, (_, at) => at);
    const many = each({ forEach: { in: '${{ inputs.xs }}', maxItems: 10_000, maxFailurePercent: 0 } });
    const run = begin(plan([many, broken(['each'])]), { xs: numbers });
    const batches: number[] = [];
    for (let batch = sent(run); batch.length > 0; batch = sent(run)) {
      batches.push(batch.length);
      for (const { taskId } of batch) say(run, taskId, taskId === 'broken' ? 'failed' : 'succeeded');
      advance(run, 1);
    }
    expect(batches).toEqual([2_000, 500, 1, 2_000, 500]);
    expect(headerOf(run)).toMatchObject({ state: 'failed', compensation: 'done' });
  });
});
