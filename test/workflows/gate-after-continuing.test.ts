import type { Json } from '../../workflows/contracts/json';
import { applyOutcome } from '../../workflows/plan-gates';
import { advance } from '../../workflows/plan-progress';
import { applyReport } from '../../workflows/plan-reports';
import { putBack, type ResultEntries, resultsStored, resultsToStore } from '../../workflows/plan-results';
import { decodeSnapshot, encodeSnapshot } from '../../workflows/plan-snapshot';
import { createRun } from '../../workflows/plan-start';
import { noEffects, type PlanRun, taskOf } from '../../workflows/plan-state';
import { approval, begin, input, plan, task } from '../support/plans';

const succeeded = (run: PlanRun, taskId: string, output: Json): void => {
  const { attempt } = taskOf(run, taskId);
  applyReport(run, { planId: 'p', taskId, attempt, agent: 'a-1', at: '', kind: 'succeeded', output }, 1);
};

describe('a gate that is open while the plan continues as new', () => {
  it('lets the task run with results that were stored meanwhile', () => {
    const many = Array.from({ length: 100 }, (_, at) => `t${at}`);
    const definition = plan(
      [
        ...many.map((id) => task(id)),
        task('deploy', {
          needs: many,
          title: 'Deploy ${{ tasks.t0.output.version }}',
          with: { note: '${{ approval.reason }} of ${{ tasks.t0.output.version }}' },
          approval: approval(),
        }),
      ],
      { result: `\${{ [${many.map((id) => `tasks.${id}.output.version`).join()}] }}` },
    );
    const first = begin(definition);
    for (const id of many) succeeded(first, id, { version: 7, filler: 'x'.repeat(3000) });
    advance(first, 1);
    const [request] = first.effects.approvals;
    const stored: ResultEntries[] = [...resultsToStore(first)];
    expect(stored.length).toBeGreaterThan(0);
    stored.forEach((entries, at) => {
      resultsStored(first, entries, `sha256:${at}`);
    });

    const run = createRun(input(definition), decodeSnapshot(encodeSnapshot(first), definition, 0));
    advance(run, 2);
    const { approvalId = '', digest = '' } = request ?? {};
    applyOutcome(run, { approvalId, digest, status: 'approved', decidedBy: 'ana', reason: 'release', at: '' }, 3);
    advance(run, 3);
    for (const part of [...run.recalls]) putBack(run, part, stored[part] ?? []);
    advance(run, 4);
    expect(taskOf(run, 'deploy').failure).toBeUndefined();
    expect(run.effects.dispatches).toMatchObject([
      { taskId: 'deploy', title: 'Deploy 7', arguments: { note: 'release of 7' } },
    ]);
  });
});

describe('an answer that goes into all items of a list', () => {
  it('fails the task before any of them is sent when one cannot take it', () => {
    const definition = plan([
      task('deploy', {
        forEach: { in: '${{ [1, 0] }}', maxItems: 10, maxFailurePercent: 100 },
        with: { share: '${{ int(approval.reason) / item }}' },
        approval: approval(),
      }),
    ]);
    const run = begin(definition);
    const [request] = run.effects.approvals;
    const { approvalId = '', digest = '' } = request ?? {};
    run.effects = noEffects();
    applyOutcome(run, { approvalId, digest, status: 'approved', decidedBy: 'ana', reason: '6', at: '' }, 3);
    advance(run, 3);
    expect(run.effects.dispatches).toEqual([]);
    expect(taskOf(run, 'deploy')).toMatchObject({ state: 'failed', failure: { type: 'ExpressionFailed' } });
  });
});
