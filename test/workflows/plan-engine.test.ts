import fc from 'fast-check';
import type { TaskReport } from '../../workflows/contracts/messages';
import { applyOutcome } from '../../workflows/plan-gates';
import {
  cancelPlan,
  pausePlan,
  refuseCommand,
  refuseReopening,
  refuseRetry,
  reopenPlan,
  resumePlan,
  retryTask,
} from '../../workflows/plan-commands';
import { advance } from '../../workflows/plan-progress';
import { applyReport } from '../../workflows/plan-reports';
import { decodeSnapshot, encodeSnapshot } from '../../workflows/plan-snapshot';
import { createRun } from '../../workflows/plan-start';
import { isEnded, noEffects, type PlanRun, planTransitions, taskOf, taskTransitions } from '../../workflows/plan-state';
import { nextWake } from '../../workflows/plan-time';
import { headerOf } from '../../workflows/plan-view';
import { approval, begin, compensation, once, plan, task } from '../support/plans';

const sent = (run: PlanRun) => {
  const { dispatches } = run.effects;
  run.effects = { ...run.effects, dispatches: [] };
  return dispatches;
};
const report = (
  run: PlanRun,
  taskId: string,
  more: Partial<TaskReport> & { readonly kind: TaskReport['kind'] },
  now = 1,
): void => {
  const base = {
    planId: 'p',
    taskId,
    attempt: taskOf(run, taskId).attempt,
    agent: 'a-1',
    at: '1970-01-01T00:00:00.000Z',
  };
  applyReport(run, { ...base, ...more } as TaskReport, now);
  advance(run, now);
};
const done = (
  run: PlanRun,
  taskId: string,
  output: TaskReport extends infer R ? (R extends { output: infer O } ? O : never) : never = {},
): void => {
  report(run, taskId, { kind: 'succeeded', output });
};
const states = (run: PlanRun): Record<string, string> =>
  Object.fromEntries([...run.tasks.values()].map(({ id, state }) => [id, state]));

describe('plan engine', () => {
  it('sends all tasks that became ready in one step, and those that need them afterwards', () => {
    const run = begin(plan([task('a'), task('b'), task('c', { needs: ['a', 'b'] })]));
    expect(sent(run).map(({ taskId, attempt }) => [taskId, attempt])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    done(run, 'a');
    expect(sent(run)).toEqual([]);
    done(run, 'b');
    expect(sent(run).map(({ taskId }) => taskId)).toEqual(['c']);
    done(run, 'c');
    expect(run.state).toBe('succeeded');
  });

  it('tells an agent that was given up to stop, for it may come back', () => {
    const run = begin(plan([task('a')]));
    report(run, 'a', { kind: 'lost' });
    expect(run.effects.cancels).toEqual([{ planId: 'p', taskId: 'a', attempt: 1 }]);
    advance(run, 2);
    expect(taskOf(run, 'a')).toMatchObject({ state: 'dispatched', attempt: 2 });
  });

  it('changes nothing for a repeated, stale or foreign report', () => {
    const run = begin(
      plan([
        task('a', {
          retry: { maxAttempts: 2, initialIntervalMs: 10, backoffCoefficient: 1, maxIntervalMs: 10, nonRetryable: [] },
        }),
        task('b', { needs: ['a'] }),
      ]),
    );
    report(run, 'a', { kind: 'failed', failure: { type: 'X', message: 'x' }, retryable: true });
    advance(run, 100);
    expect(taskOf(run, 'a')).toMatchObject({ state: 'dispatched', attempt: 2 });
    const before = encodeSnapshot(run);
    report(run, 'a', { kind: 'succeeded', output: 1, attempt: 1 });
    report(run, 'a', { kind: 'succeeded', output: 1, planId: 'other' });
    expect(encodeSnapshot(run)).toBe(before);
    done(run, 'a');
    report(run, 'a', { kind: 'failed', failure: { type: 'X', message: 'x' }, retryable: true });
    expect(taskOf(run, 'a').state).toBe('succeeded');
  });

  it('passes typed results and texts to the tasks after', () => {
    const run = begin(
      plan(
        [
          task('a'),
          task('b', {
            needs: ['a'],
            with: { n: '${{ tasks.a.output.n + 1 }}', text: 'n is ${{ tasks.a.output.n }}, $${{ kept }}' },
          }),
        ],
        { result: '${{ tasks.b.output }}' },
      ),
    );
    sent(run);
    done(run, 'a', { n: 41 });
    expect(sent(run)[0]?.arguments).toEqual({ n: 42, text: 'n is 41, ${{ kept }}' });
    done(run, 'b', ['x']);
    expect(headerOf(run)).toMatchObject({ state: 'succeeded', result: ['x'] });
  });

  it('skips what needs a task that failed, runs what comes after it, and can still succeed', () => {
    const run = begin(
      plan([
        task('a', {
          onFailure: 'continue',
          retry: once,
        }),
        task('b', { needs: ['a'] }),
        task('c', { after: ['a'], with: { ok: '${{ tasks.a.status == "succeeded" }}' } }),
      ]),
    );
    sent(run);
    report(run, 'a', { kind: 'failed', failure: { type: 'X', message: 'x' }, retryable: true });
    expect(sent(run)[0]).toMatchObject({ taskId: 'c', arguments: { ok: false } });
    expect(taskOf(run, 'b')).toMatchObject({ state: 'skipped', reason: 'needs a, which did not succeed' });
    done(run, 'c');
    expect(run.state).toBe('succeeded');
  });

  it('skips a task whose condition is false and never evaluates the rest of it', () => {
    const run = begin(plan([task('a', { when: '${{ inputs.go }}', with: { x: '${{ inputs.missing.y }}' } })]), {
      go: false,
    });
    expect(states(run)).toEqual({ a: 'skipped' });
    expect(run.state).toBe('succeeded');
  });

  it('runs one item an element, in order of the list, within maxParallel, and keeps tolerated failures as null', () => {
    const run = begin(
      plan([
        task('each', {
          forEach: { in: '${{ inputs.xs }}', maxItems: 10, maxFailurePercent: 40, maxParallel: 2 },
          with: { x: '${{ item }}', i: '${{ index }}' },
          retry: once,
        }),
        task('sum', {
          needs: ['each'],
          with: {
            all: '${{ tasks.each.output }}',
            failed: '${{ size(tasks.each.items.filter(i, i.status == "failed")) }}',
          },
        }),
      ]),
      { xs: ['a', 'b', 'c'] },
    );
    expect(sent(run).map((one) => [one.taskId, one.arguments])).toEqual([
      ['each.0', { x: 'a', i: 0 }],
      ['each.1', { x: 'b', i: 1 }],
    ]);
    done(run, 'each.1', 'B');
    expect(sent(run).map(({ taskId }) => taskId)).toEqual(['each.2']);
    report(run, 'each.0', { kind: 'failed', failure: { type: 'X', message: 'x' }, retryable: true });
    done(run, 'each.2', 'C');
    expect(sent(run)[0]?.arguments).toEqual({ all: [null, 'B', 'C'], failed: 1 });
  });

  it('gives an empty list for an empty list, and fails for one that is too long', () => {
    const each = task('each', { forEach: { in: '${{ inputs.xs }}', maxItems: 2, maxFailurePercent: 0 } });
    const empty = begin(plan([each], { result: '${{ tasks.each.output }}' }), { xs: [] });
    expect(headerOf(empty)).toMatchObject({ state: 'succeeded', result: [] });
    const long = begin(plan([each]), { xs: [1, 2, 3] });
    expect(taskOf(long, 'each').failure?.type).toBe('TooManyItems');
    expect(long.state).toBe('failed');
  });

  it('starts no new item after more failures than are tolerated', () => {
    const run = begin(
      plan([
        task('each', {
          forEach: { in: '${{ inputs.xs }}', maxItems: 10, maxFailurePercent: 0, maxParallel: 1 },
          retry: once,
          onFailure: 'continue',
        }),
      ]),
      { xs: [1, 2, 3] },
    );
    sent(run);
    report(run, 'each.0', { kind: 'failed', failure: { type: 'Bad', message: 'x' }, retryable: true });
    expect(states(run)).toEqual({ each: 'failed', 'each.0': 'failed', 'each.1': 'cancelled', 'each.2': 'cancelled' });
    expect(taskOf(run, 'each').failure?.type).toBe('Bad');
  });

  it('compensates in reverse of the edges what was dispatched, succeeded or not', () => {
    const run = begin(
      plan([
        task('a', { compensation: compensation('undo-a') }),
        task('b', { needs: ['a'], compensation: compensation('undo-b') }),
        task('c', {
          needs: ['b'],
          retry: once,
        }),
      ]),
    );
    done(run, 'a');
    done(run, 'b');
    sent(run);
    report(run, 'c', { kind: 'failed', failure: { type: 'Boom', message: 'x' }, retryable: true });
    expect(run.state).toBe('failing');
    expect(sent(run).map(({ capability, compensating }) => [capability, compensating])).toEqual([['undo-b', true]]);
    done(run, 'b');
    expect(sent(run).map(({ capability }) => capability)).toEqual(['undo-a']);
    done(run, 'a');
    expect(headerOf(run)).toMatchObject({ state: 'failed', compensation: 'done', failure: { type: 'Boom' } });
    expect(states(run)).toEqual({ a: 'compensated', b: 'compensated', c: 'failed' });
  });

  it('tells agents to stop, waits for them and ends cancelled', () => {
    const run = begin(plan([task('a'), task('b', { needs: ['a'] })]));
    report(run, 'a', { kind: 'started', heartbeatMs: 1000 });
    cancelPlan(run);
    advance(run, 2);
    expect(run.effects.cancels).toEqual([{ planId: 'p', taskId: 'a', attempt: 1 }]);
    expect(run.state).toBe('cancelling');
    report(run, 'a', { kind: 'failed', failure: { type: 'Cancelled', message: 'stopped' }, retryable: false });
    expect(run.state).toBe('cancelled');
    expect(states(run)).toEqual({ a: 'cancelled', b: 'cancelled' });
  });

  it('starts nothing while paused and goes on where it was', () => {
    const run = begin(plan([task('a'), task('b', { needs: ['a'] })]));
    sent(run);
    pausePlan(run, 'by ana');
    done(run, 'a');
    expect(sent(run)).toEqual([]);
    resumePlan(run);
    advance(run, 5);
    expect(sent(run).map(({ taskId }) => taskId)).toEqual(['b']);
  });

  it('asks people before a task, takes their edit, and ignores an outcome that it did not ask for', () => {
    const run = begin(
      plan([
        task('a', {
          with: { list: [1, 2] },
          approval: approval({
            title: 'Take ${{ size(inputs.xs) }}?',
            editable: [{ path: '/list', schema: { type: 'array' } }],
          }),
        }),
      ]),
      { xs: [1, 2, 3] },
    );
    const [request] = run.effects.approvals;
    expect(request).toMatchObject({
      approvalId: 'p/a/1',
      title: 'Take 3?',
      subject: { list: [1, 2] },
      excluded: ['jonas'],
    });
    expect(states(run)).toEqual({ a: 'waiting' });
    const outcome = {
      approvalId: 'p/a/1',
      status: 'approved' as const,
      at: '',
      decidedBy: 'ana',
      digest: request?.digest ?? '',
      subject: { list: [2] },
    };
    applyOutcome(run, { ...outcome, digest: 'sha256:other' }, 1);
    applyOutcome(run, { ...outcome, approvalId: 'p/a/2' }, 1);
    expect(states(run)).toEqual({ a: 'waiting' });
    applyOutcome(run, outcome, 1);
    advance(run, 1);
    expect(sent(run)[0]?.arguments).toEqual({ list: [2] });
  });

  it('fails a rejected task with Rejected, and asks about a result after it', () => {
    const before = begin(plan([task('a', { approval: approval() })]));
    applyOutcome(
      before,
      {
        approvalId: 'p/a/1',
        status: 'rejected',
        at: '',
        decidedBy: 'ana',
        reason: 'too soon',
        digest: before.effects.approvals[0]?.digest ?? '',
      },
      1,
    );
    advance(before, 1);
    expect(headerOf(before)).toMatchObject({ state: 'failed', failure: { type: 'Rejected' } });
    const after = begin(plan([task('a', { approval: approval({ at: 'after' }) })]));
    done(after, 'a', { v: 1 });
    expect(after.effects.approvals[0]).toMatchObject({ at: 'after', subject: { result: { v: 1 } } });
    applyOutcome(
      after,
      { approvalId: 'p/a/1', status: 'approved', at: '', digest: after.effects.approvals[0]?.digest ?? '' },
      1,
    );
    advance(after, 1);
    expect(after.state).toBe('succeeded');
  });

  it('ends an attempt that takes too long, tells its agent, and tries again after a pause', () => {
    const run = begin(plan([task('a', { timeoutMs: 1000 })]));
    sent(run);
    report(run, 'a', { kind: 'started', heartbeatMs: 1000 }, 10);
    expect(nextWake(run)).toBe(1010);
    advance(run, 1010);
    expect(run.effects.cancels).toEqual([{ planId: 'p', taskId: 'a', attempt: 1 }]);
    expect(taskOf(run, 'a')).toMatchObject({ state: 'retrying', failure: { type: 'Timeout' } });
    advance(run, 1010 + 1200);
    expect(sent(run)[0]).toMatchObject({ taskId: 'a', attempt: 2 });
  });

  it('stops the clock of the plan while it is paused', () => {
    const run = begin(plan([task('a')], { deadlineMs: 1000 }));
    pausePlan(run, '');
    advance(run, 100);
    advance(run, 5000);
    expect(run.state).toBe('paused');
    resumePlan(run);
    advance(run, 5000);
    expect(nextWake(run)).toBe(5900);
    advance(run, 5900);
    expect(headerOf(run)).toMatchObject({ state: 'failed', failure: { type: 'DeadlineExceeded' } });
  });

  it('runs a task again with all that depends on it', () => {
    const run = begin(
      plan([
        task('a', {
          onFailure: 'continue',
          retry: once,
        }),
        task('b', { needs: ['a'] }),
        task('c'),
      ]),
    );
    report(run, 'a', { kind: 'failed', failure: { type: 'X', message: '' }, retryable: false });
    expect(states(run)).toEqual({ a: 'failed', b: 'skipped', c: 'dispatched' });
    sent(run);
    retryTask(run, 'a', 5);
    advance(run, 5);
    expect(sent(run)).toMatchObject([{ taskId: 'a', attempt: 2 }]);
    done(run, 'a');
    done(run, 'b');
    done(run, 'c');
    expect(run.state).toBe('succeeded');
  });

  it('goes on with a plan that failed: the task, what depends on it, and what was undone of what it needs', () => {
    const run = begin(
      plan([
        task('flight', { compensation: compensation('undo') }),
        task('hotel', {
          needs: ['flight'],
          retry: once,
        }),
        task('tell', { needs: ['hotel'] }),
      ]),
    );
    done(run, 'flight');
    report(run, 'hotel', { kind: 'failed', failure: { type: 'Full', message: '' }, retryable: false });
    done(run, 'flight', { undone: true });
    expect(run.state).toBe('failed');
    expect(states(run)).toEqual({ flight: 'compensated', hotel: 'failed', tell: 'cancelled' });
    expect(() => {
      refuseReopening(run, 'tell');
    }).toThrow('tell needs hotel, which is failed; retry hotel');
    sent(run);

    refuseReopening(run, 'hotel');
    reopenPlan(run, 'hotel', 5);
    advance(run, 5);
    expect(headerOf(run)).toMatchObject({ state: 'running', compensation: 'none' });
    expect(headerOf(run).failure).toBeUndefined();
    expect(sent(run)).toMatchObject([{ taskId: 'flight', attempt: 3 }]);
    for (const id of ['flight', 'hotel', 'tell']) done(run, id);
    expect(run.state).toBe('succeeded');

    // And again, now from its success: only what depends on the task.
    sent(run);
    reopenPlan(run, 'tell', 6);
    advance(run, 6);
    expect(sent(run)).toMatchObject([{ taskId: 'tell', attempt: 2 }]);
    expect(() => {
      refuseReopening(run, 'tell');
    }).toThrow('is running');
  });

  it('fails a task whose arguments cannot be evaluated, and refuses a result that does not fit its schema', () => {
    const wrong = begin(plan([task('a', { with: { x: '${{ inputs.nothing }}' } })]));
    expect(taskOf(wrong, 'a').failure?.type).toBe('ExpressionFailed');
    const typed = begin(
      plan([task('a', { output: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } })]),
    );
    done(typed, 'a', { n: 'x' });
    expect(taskOf(typed, 'a')).toMatchObject({ state: 'retrying', failure: { type: 'OutputInvalid' } });
  });

  it('stays within its states and ends, whatever order, repetition or staleness reports have', () => {
    const definition = plan([
      task('a', { compensation: compensation('undo') }),
      task('each', {
        needs: ['a'],
        forEach: { in: '${{ inputs.xs }}', maxItems: 10, maxFailurePercent: 50, maxParallel: 2 },
        compensation: compensation('undo'),
      }),
      task('b', { after: ['a'], onFailure: 'continue' }),
      task('c', { needs: ['b', 'each'], timeoutMs: 5000 }),
      task('gated', { after: ['a'], approval: approval(), onFailure: 'continue', deadlineMs: 20_000 }),
      task('shown', { needs: ['a'], approval: approval({ at: 'after' }), compensation: compensation('undo') }),
      task('all', {
        forEach: { in: '${{ inputs.xs }}', maxItems: 10, maxFailurePercent: 0 },
        approval: approval(),
        deadlineMs: 30_000,
        onFailure: 'continue',
      }),
    ]);
    const decide = (run: PlanRun, which: number, now: number, status: 'approved' | 'rejected' | 'expired'): void => {
      const open = [...run.tasks.values()].flatMap(({ gate }) => (gate ? [gate] : []));
      const gate = open[which % Math.max(1, open.length)];
      if (gate) applyOutcome(run, { ...gate, status, at: '' }, now);
    };
    const kinds = fc.constantFrom(
      'started',
      'succeeded',
      'failed',
      'lost',
      'tick',
      'pause',
      'resume',
      'cancel',
      'snapshot',
      'approved',
      'rejected',
      'expired',
      'drain',
      'retry',
    );
    const loaded = (run: PlanRun): PlanRun =>
      createRun(
        { planId: 'p', plan: definition, inputs: { xs: [1, 2, 3] }, owner: 'jonas', startedAt: 0 },
        decodeSnapshot(encodeSnapshot(run), definition, 0),
      );
    const isRefused = (check: () => void): boolean => {
      try {
        check();
        return false;
      } catch (error) {
        const { type } = error as { readonly type?: string };
        expect(['PlanClosed', 'PlanStateConflict', 'TaskStateConflict']).toContain(type);
        return true;
      }
    };
    fc.assert(
      fc.property(
        fc.array(fc.tuple(kinds, fc.nat(15), fc.integer({ min: -1, max: 2 }), fc.boolean()), { maxLength: 120 }),
        fc.nat(5),
        fc.array(fc.nat(15), { maxLength: 3 }),
        (steps, fails, again) => {
          let run = begin(definition, { xs: [1, 2, 3] });
          let now = 0;
          for (const [kind, which, staleness, retryable] of steps) {
            now += 700;
            const ids = [...run.tasks.keys()];
            const target = taskOf(run, ids[which % ids.length] ?? 'a');
            const base = { planId: 'p', taskId: target.id, attempt: target.attempt - staleness, agent: 'x', at: '' };
            if (kind === 'started') applyReport(run, { ...base, kind, heartbeatMs: 1 }, now);
            else if (kind === 'succeeded') applyReport(run, { ...base, kind, output: null }, now);
            else if (kind === 'failed')
              applyReport(run, { ...base, kind, failure: { type: 'F', message: '' }, retryable }, now);
            else if (kind === 'lost') applyReport(run, { ...base, kind }, now);
            else if (kind === 'approved' || kind === 'rejected' || kind === 'expired') decide(run, which, now, kind);
            else if (kind === 'pause' && run.state === 'running') pausePlan(run, '');
            else if (kind === 'resume' && run.state === 'paused') resumePlan(run);
            else if (kind === 'cancel' && which === 0 && (run.state === 'running' || run.state === 'paused'))
              cancelPlan(run);
            else if (kind === 'snapshot') run = loaded(run);
            else if (kind === 'retry') {
              const refused = isRefused(() => {
                refuseCommand(run, 'retryTask');
                refuseRetry(run, target.id);
              });
              if (!refused) retryTask(run, target.id, now);
            }
            advance(run, now, kind !== 'drain');
            run.effects = noEffects();
          }
          // Whatever happened, an agent that answers everything brings the plan to an end, also one that goes on after its end.
          if (run.state === 'paused') resumePlan(run);
          const toTheEnd = (fails: number): void => {
            for (let i = 0; i < 200 && run.endedAt === undefined; i++) {
              now += 100_000;
              advance(run, now);
              decide(run, i, now, 'approved');
              for (const id of [...run.active]) {
                const base = { planId: 'p', taskId: id, attempt: taskOf(run, id).attempt, agent: 'x', at: '' };
                const failure = { type: 'F', message: '' };
                if (id.length % 3 === fails)
                  applyReport(run, { ...base, kind: 'failed', failure, retryable: false }, now);
                else applyReport(run, { ...base, kind: 'succeeded', output: null }, now);
              }
              advance(run, now);
            }
            expect(['succeeded', 'failed', 'cancelled']).toContain(run.state);
            expect([...run.tasks.values()].filter((one) => !isEnded(one))).toEqual([]);
            expect(run.underWay).toBe(0);
          };
          toTheEnd(fails);
          for (const which of again) {
            const ended = run;
            const id = [...run.tasks.keys()][which % run.tasks.size] ?? 'a';
            const check = (): void => {
              refuseReopening(ended, id);
            };
            if (isRefused(check)) continue;
            run = loaded(run);
            reopenPlan(run, id, now);
            toTheEnd(which % 4);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('has closed state machines: every state is reachable and leads to an end', () => {
    for (const [machine, first] of [
      [taskTransitions, 'pending'],
      [planTransitions, 'running'],
    ] as const) {
      const table = machine as Readonly<Record<string, readonly string[]>>;
      const reached = new Set<string>([first]);
      for (const state of reached) for (const next of table[state] ?? []) reached.add(next);
      expect([...reached].sort()).toEqual(Object.keys(table).sort());
    }
  });
});
