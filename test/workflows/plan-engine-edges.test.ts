import type { TaskReport } from '../../workflows/contracts/messages';
import {
  cancelPlan,
  pausePlan,
  refuseReopening,
  refuseRetry,
  reopenPlan,
  resumePlan,
  retryTask,
} from '../../workflows/plan-commands';
import { applyOutcome } from '../../workflows/plan-gates';
import { advance } from '../../workflows/plan-progress';
import { applyReport, readReports } from '../../workflows/plan-reports';
import { putBack, resultsStored, resultsToStore } from '../../workflows/plan-results';
import { decodeSnapshot, encodeSnapshot } from '../../workflows/plan-snapshot';
import { createRun } from '../../workflows/plan-start';
import { noEffects, type PlanRun, taskOf } from '../../workflows/plan-state';
import { nextWake } from '../../workflows/plan-time';
import { headerOf, takeChanges, taskDetail } from '../../workflows/plan-view';
import { approval, begin, compensation, input, once, plan, task } from '../support/plans';

const say = (run: PlanRun, taskId: string, more: object, attempt?: number): void => {
  const base = { planId: 'p', taskId, attempt: attempt ?? taskOf(run, taskId).attempt, agent: 'a', at: '' };
  applyReport(run, { ...base, ...more } as TaskReport, 1);
  advance(run, 1);
};
const done = (run: PlanRun, taskId: string, output: unknown = {}): void => {
  say(run, taskId, { kind: 'succeeded', output });
};
const answer = (run: PlanRun, taskId: string, status: 'approved' | 'rejected', reason = 'because'): void => {
  const { gate } = taskOf(run, taskId);
  applyOutcome(run, { approvalId: gate?.approvalId ?? '', digest: gate?.digest ?? '', status, at: '', reason }, 2);
  advance(run, 2);
};
const sent = (run: PlanRun): string[] => {
  const { dispatches } = run.effects;
  run.effects = noEffects();
  return dispatches.map(({ taskId }) => taskId);
};
const each = (more: Parameters<typeof task>[1] = {}) =>
  task('each', {
    forEach: { in: '${{ inputs.xs }}', maxItems: 100, maxFailurePercent: 0 },
    onFailure: 'continue',
    retry: once,
    ...more,
  });

describe('plan engine at its edges', () => {
  it('ends the items of a forEach that missed its deadline, and tells their agents', () => {
    const run = begin(plan([each({ deadlineMs: 1000 }), task('next', { after: ['each'] })]), { xs: [1, 2] });
    say(run, 'each.0', { kind: 'started', heartbeatMs: 1 });
    sent(run);
    advance(run, 1000);
    expect(run.effects.cancels.map(({ taskId }) => taskId)).toEqual(['each.0', 'each.1']);
    expect(sent(run)).toEqual(['next']);
    done(run, 'next');
    expect(headerOf(run)).toMatchObject({ state: 'succeeded', counts: { failed: 1, succeeded: 1 } });
  });

  it('says why a list that travels as an artifact has no elements', () => {
    const run = begin(
      plan([
        task('list'),
        task('each', {
          needs: ['list'],
          forEach: { in: '${{ tasks.list.output }}', maxItems: 100, maxFailurePercent: 0 },
        }),
      ]),
    );
    done(run, 'list', {
      artifact: `sha256:${'0'.repeat(64)}`,
      name: 'output.json',
      mediaType: 'application/json',
      size: 5000,
    });
    expect(taskOf(run, 'each').failure).toEqual({
      type: 'ExpressionFailed',
      message:
        'forEach.in gave an artifact: a list of more than 4096 bytes travels as one, and its elements cannot be seen',
    });
  });

  it('goes on after a refused forEach, whose items never began', () => {
    const run = begin(plan([each({ approval: approval() })]), { xs: [1, 2] });
    answer(run, 'each', 'rejected');
    expect(run.state).toBe('succeeded');
    expect(taskOf(run, 'each.1').state).toBe('cancelled');
  });

  it('fails a gated forEach whose arguments cannot be evaluated', () => {
    const run = begin(plan([each({ approval: approval(), with: { x: '${{ item.missing }}' } })]), { xs: [{}, {}] });
    expect(taskOf(run, 'each')).toMatchObject({ state: 'failed', failure: { type: 'ExpressionFailed' } });
    expect(run.state).toBe('succeeded');
  });

  it('does not try an item again once more have failed than are tolerated', () => {
    const retry = { ...once, maxAttempts: 3 };
    const run = begin(plan([each({ retry })]), { xs: [1, 2] });
    say(run, 'each.0', { kind: 'failed', failure: { type: 'X', message: '' }, retryable: false });
    say(run, 'each.1', { kind: 'failed', failure: { type: 'X', message: '' }, retryable: true });
    expect(taskOf(run, 'each').state).toBe('failed');
  });

  it('fills what comes from the answer after the approval, and evaluates no data', () => {
    const run = begin(
      plan([
        task('a', {
          title: '${{ inputs.title }}',
          with: { why: 'because ${{ approval.reason }}', fixed: '${{ inputs.title }}' },
          approval: approval(),
        }),
      ]),
      { title: '${{ inputs.secret }}' },
    );
    expect(run.effects.approvals[0]).toMatchObject({
      title: '${{ inputs.secret }}',
      subject: { why: 'from the answer', fixed: '${{ inputs.secret }}' },
    });
    answer(run, 'a', 'approved', 'it is fine');
    expect(run.effects.dispatches[0]).toMatchObject({
      arguments: { why: 'because it is fine', fixed: '${{ inputs.secret }}' },
      approval: { status: 'approved' },
    });
  });

  it('holds gates back beyond a thousand, and opens them as others close', () => {
    const many = Array.from({ length: 1001 }, (_, index) => task(`t${index}`, { approval: approval() }));
    const run = begin(plan(many));
    expect(run.effects.approvals).toHaveLength(1000);
    expect(taskOf(run, 't1000').state).toBe('pending');
    answer(run, 't3', 'approved');
    expect(taskOf(run, 't1000').state).toBe('waiting');
  });

  it('keeps a report that comes before its attempt is sent, over a snapshot too', () => {
    const definition = plan([task('a'), task('b', { needs: ['a'] })]);
    const run = begin(definition);
    say(run, 'b', { kind: 'succeeded', output: 1 }, 1);
    const later = createRun(input(definition), decodeSnapshot(encodeSnapshot(run), definition, 0));
    done(later, 'a');
    expect(sent(later)).toEqual([]);
    expect(later.state).toBe('succeeded');
  });

  it('sends nothing while the run is about to end, but what was answered already', () => {
    const run = createRun(input(plan([task('a'), task('b')])));
    applyReport(run, { planId: 'p', taskId: 'b', attempt: 1, agent: 'a', at: '', kind: 'succeeded', output: 1 }, 1);
    advance(run, 1, false);
    expect([taskOf(run, 'a').state, taskOf(run, 'b').state]).toEqual(['queued', 'succeeded']);
    expect(sent(run)).toEqual([]);
  });

  it('stores results that are needed later, fetches them when they are, and lets go of the others', () => {
    const text = 'x'.repeat(4000);
    const xs = Array.from({ length: 100 }, (_, index) => index);
    const definition = plan([
      each(),
      task('gate', { needs: ['each'] }),
      task('sum', { needs: ['gate', 'each'], with: { n: '${{ size(tasks.each.output) }}' } }),
    ]);
    const run = begin(definition, { xs });
    for (const x of xs) done(run, `each.${x}`, text);
    const stored = resultsToStore(run);
    expect(stored.flat()).toHaveLength(100);
    stored.forEach((entries, index) => {
      resultsStored(run, entries, `part-${index}`);
    });
    const snapshot = encodeSnapshot(run);
    expect(snapshot.length).toBeLessThan(16_000);
    const later = createRun(input(definition, { xs }), decodeSnapshot(snapshot, definition, 0));
    done(later, 'gate');
    expect(sent(later)).toEqual([]);
    expect([...later.recalls]).toEqual([0]);
    putBack(later, 0, stored[0] ?? []);
    advance(later, 3);
    expect(later.effects.dispatches[0]?.arguments).toEqual({ n: 100 });
    done(later, 'sum');
    expect(later.state).toBe('succeeded');
    expect(later.keptBytes).toBeLessThan(256 * 1024);
  });

  it('goes on after results were stored and a snapshot was made, as when the run could not end after all', () => {
    const text = 'x'.repeat(4000);
    const xs = Array.from({ length: 100 }, (_, index) => index);
    const run = begin(
      plan([
        each(),
        task('gate', { needs: ['each'] }),
        task('sum', { needs: ['gate', 'each'], with: { n: '${{ tasks.each.output.filter(o, o != null).size() }}' } }),
      ]),
      { xs },
    );
    for (const x of xs) done(run, `each.${x}`, text);
    resultsToStore(run).forEach((entries, index) => {
      resultsStored(run, entries, `part-${index}`);
    });
    encodeSnapshot(run);
    sent(run);
    done(run, 'gate');
    expect(run.effects.dispatches).toMatchObject([{ taskId: 'sum', arguments: { n: 100 } }]);
  });

  it('can be made short for a plan that has ended: what reads a result then runs again only with the task that gave it', () => {
    const definition = plan([task('a'), task('b', { needs: ['a'], with: { x: '${{ tasks.a.output }}' } })]);
    const run = begin(definition);
    done(run, 'a', 'kept');
    done(run, 'b', 'x');
    const again = (isBrief: boolean): PlanRun =>
      createRun(input(definition), decodeSnapshot(encodeSnapshot(run, isBrief), definition, 0));
    refuseReopening(again(false), 'b');
    expect(() => {
      refuseReopening(again(true), 'b');
    }).toThrow('the result of a is no longer kept; retry a');
    refuseReopening(again(true), 'a');
  });

  it('runs again what was undone, also for those that wait for the task that is retried', () => {
    const undo = compensation('undo');
    const run = begin(
      plan([
        task('car', { compensation: undo }),
        task('hotel', { after: ['car'], retry: once }),
        task('pay', { needs: ['car', 'hotel'] }),
      ]),
    );
    done(run, 'car');
    say(run, 'hotel', { kind: 'failed', failure: { type: 'Full', message: '' }, retryable: false });
    done(run, 'car', {});
    expect(run.state).toBe('failed');
    sent(run);
    reopenPlan(run, 'hotel', 5);
    advance(run, 5);
    expect(sent(run)).toEqual(['car']);
    for (const id of ['car', 'hotel', 'pay']) done(run, id);
    expect(headerOf(run)).toMatchObject({ state: 'succeeded', counts: { succeeded: 3 } });
  });

  it('holds the time of a pause against no task, and forgets why it paused', () => {
    const run = begin(plan([each({ deadlineMs: 1000 })], { maxParallel: 1 }), { xs: [1, 2] });
    pausePlan(run, 'lunch');
    advance(run, 400);
    advance(run, 5000);
    expect(taskOf(run, 'each').state).toBe('running');
    resumePlan(run);
    advance(run, 5400);
    expect(nextWake(run)).toBe(6000);
    pausePlan(run, 'lunch');
    cancelPlan(run);
    expect(run.pauseReason).toBeUndefined();
  });

  it('has at most 10,000 items in all', () => {
    const many = (id: string, more: Parameters<typeof task>[1] = {}) =>
      task(id, { forEach: { in: '${{ inputs.xs }}', maxItems: 10_000, maxFailurePercent: 0 }, ...more });
    const run = begin(plan([many('a', { onFailure: 'continue' }), many('b', { onFailure: 'continue' })]), {
      xs: Array.from({ length: 6_000 }, () => 0),
    });
    expect(taskOf(run, 'a').state).toBe('running');
    expect(taskOf(run, 'b').failure).toEqual({
      type: 'TooManyItems',
      message: 'the plan would have 12000 items, more than 10000',
    });
  });

  it('tells of every attempt, however quickly the next one came, and what it used and produced', () => {
    const [used, produced] = [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`];
    const reference = (artifact: string) => ({ artifact, name: 'x', mediaType: 'text/plain', size: 1 });
    const run = begin(
      plan([
        task('a', { with: { x: reference(used) }, compensation: compensation('undo') }),
        task('b', { needs: ['a'], retry: once }),
      ]),
    );
    const told = () => takeChanges(run, 1).flatMap(({ attempts }) => attempts);
    expect(told()).toMatchObject([{ taskId: 'a', attempt: 1, state: 'dispatched', used: [used] }]);
    say(run, 'a', { kind: 'started', heartbeatMs: 1 });
    say(run, 'a', { kind: 'lost' });
    expect(told()).toMatchObject([
      { taskId: 'a', attempt: 1, state: 'failed', agent: 'a', failure: { type: 'AgentLost' } },
      { taskId: 'a', attempt: 2, state: 'dispatched' },
    ]);
    done(run, 'a', reference(produced));
    expect(told()).toMatchObject([
      { taskId: 'a', attempt: 2, state: 'succeeded', used: [used], produced: [produced] },
      { taskId: 'b', attempt: 1 },
    ]);
    say(run, 'b', { kind: 'failed', failure: { type: 'X', message: '' }, retryable: false });
    const [end, undoing] = told();
    expect(end).toMatchObject({ taskId: 'b', state: 'failed' });
    expect(undoing).toMatchObject({ taskId: 'a', attempt: 3, state: 'dispatched' });
    expect(undoing).not.toHaveProperty('used');
    done(run, 'a');
    expect(told()).toMatchObject([{ taskId: 'a', attempt: 3, state: 'succeeded' }]);
    expect(told()).toEqual([]);
  });

  it('takes no more from a report than a report may hold', () => {
    const base = { planId: 'p', taskId: 'a', attempt: 1, agent: 'x', at: '', kind: 'lost' };
    expect(readReports([base, { ...base, agent: 'x'.repeat(1000) }])).toEqual([base]);
    const run = createRun(input(plan([task('a'), task('b')])));
    // Before and after it was sent.
    say(run, 'a', { kind: 'succeeded', output: '漢'.repeat(1400) }, 1);
    expect(taskOf(run, 'a')).toMatchObject({ state: 'retrying', failure: { type: 'OutputInvalid' } });
    say(run, 'b', { kind: 'succeeded', output: '漢'.repeat(1400) });
    expect(taskOf(run, 'b').failure?.message).toBe('the result has 4202 bytes; more than 4096 travel as an artifact');
  });

  it('refuses to run a task again when a result that it reads is no longer kept', () => {
    const text = 'x'.repeat(4000);
    const xs = Array.from({ length: 100 }, (_, index) => index);
    const run = begin(
      plan([each(), task('sum', { needs: ['each'], with: { n: '${{ size(tasks.each.output) }}' } }), task('open')]),
      { xs },
    );
    for (const x of xs) done(run, `each.${x}`, text);
    expect(taskDetail(run, 'sum')?.arguments).toEqual({ n: 100 });
    done(run, 'sum');
    expect(taskDetail(run, 'sum')?.arguments).toBeUndefined();
    expect(() => {
      refuseRetry(run, 'sum');
    }).toThrow('the result of each is no longer kept');
    refuseRetry(run, 'each');
    retryTask(run, 'each', 5);
    advance(run, 5);
    expect(taskOf(run, 'each.0')).toMatchObject({ attempt: 2, state: 'dispatched' });
  });

  it('says so when the result of the plan is too large, and cuts changes to size', () => {
    const xs = Array.from({ length: 100 }, (_, index) => index);
    const run = begin(plan([each()], { result: '${{ tasks.each.output }}' }), { xs });
    for (const x of xs) done(run, `each.${x}`, 'x'.repeat(4000));
    expect(headerOf(run)).toMatchObject({ state: 'succeeded', result: null });
    expect(run.resultProblem).toContain('more than 262144');
    const sets = takeChanges(run, 1);
    expect(sets.map(({ cursor }) => cursor)).toEqual(sets.map((_, index) => index + 1));
    for (const set of sets) expect(JSON.stringify(set.tasks).length).toBeLessThan(210 * 1024);
  });
});
