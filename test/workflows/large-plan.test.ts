import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { header, planWorkflowId, task as taskQuery } from '../../workflows/contracts/plan';
import { plan, task } from '../support/plans';
import { devServerEnvironment, type PlanWorker, startPlan, startPlanWorker, succeeded } from '../support/temporal';

jest.setTimeout(120_000);
let env: TestWorkflowEnvironment;
let worker: PlanWorker | undefined;
beforeAll(async () => {
  env = await devServerEnvironment();
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
});
afterAll(() => env.teardown());

/** Runs of one plan, oldest first, with what each cost. */
async function runsOf(planId: string) {
  const runs: { readonly events: number; readonly bytes: number }[] = [];
  for await (const { runId } of env.client.workflow.list({ query: `WorkflowId = '${planWorkflowId(planId)}'` })) {
    const { raw } = await env.client.workflow.getHandle(planWorkflowId(planId), runId).describe();
    runs.unshift({
      events: Number(raw.workflowExecutionInfo?.historyLength),
      bytes: Number(raw.workflowExecutionInfo?.historySizeBytes),
    });
  }
  return runs;
}

describe('large plans', () => {
  it('runs a fan-out of 1,000 in about ten events', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one, { ok: true }));
    const definition = plan(
      [
        task('each', {
          forEach: { in: '${{ inputs.xs }}', maxItems: 10_000, maxFailurePercent: 0 },
          with: { x: '${{ item }}' },
        }),
      ],
      { result: '${{ size(tasks.each.output) }}' },
    );
    const handle = await startPlan(env, definition, {
      planId: 'fan-out',
      inputs: { xs: Array.from({ length: 1000 }, (_, index) => index) },
    });
    expect(await handle.result()).toEqual({ state: 'succeeded', result: 1000 });
    const [only] = await runsOf('fan-out');
    expect(only?.events).toBeLessThanOrEqual(20);
  });

  it('stays under every limit with 10,000 tasks of 4 KiB results, also when a later task needs many of them', async () => {
    const output = { text: 'x'.repeat(4000) };
    worker = await startPlanWorker(env, (one) => succeeded(one, one.taskId === 'sum' ? one.arguments : output));
    const each = (id: string) =>
      task(id, {
        forEach: { in: `\${{ inputs.${id} }}`, maxItems: 10_000, maxFailurePercent: 0 },
        with: { x: '${{ item }}' },
      });
    const definition = plan(
      [
        each('read'),
        each('unread'),
        task('sum', {
          needs: ['read', 'unread'],
          with: { n: '${{ tasks.read.output.filter(o, size(o.text) == 4000).size() }}' },
        }),
      ],
      { result: '${{ tasks.sum.output.n }}' },
    );
    const numbers = (length: number): number[] => Array.from({ length }, (_, index) => index);
    const handle = await startPlan(env, definition, {
      planId: 'ten-thousand',
      inputs: { read: numbers(3_500), unread: numbers(6_497) },
    });
    expect(await handle.result()).toEqual({ state: 'succeeded', result: 3_500 });
    const runs = await runsOf('ten-thousand');
    for (const { events, bytes } of runs) {
      expect(events).toBeLessThan(10_000);
      expect(bytes).toBeLessThan(40 * 1024 * 1024);
    }
    expect(await handle.query(header)).toMatchObject({ counts: { succeeded: 3 } });
    expect(await handle.query(taskQuery, 'read.17')).toMatchObject({ state: 'succeeded', attempt: 1 });
  });

  it('starts and ends a plan of 10,000 tasks that are written out, each with its own arguments', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one, one.arguments));
    const numbered = Array.from({ length: 10_000 }, (_, index) => index);
    const definition = plan(
      numbered.map((index) =>
        task(`t${index}`, { needs: index < 100 ? [] : [`t${index - 100}`], with: { index, text: `number ${index}` } }),
      ),
      { result: '${{ tasks.t9999.output.index }}' },
    );
    expect(JSON.stringify(definition).length).toBeGreaterThan(2 * 1024 * 1024);
    const handle = await startPlan(env, definition, { planId: 'written-out' });
    expect(await handle.result()).toEqual({ state: 'succeeded', result: 9999 });
    for (const { bytes } of await runsOf('written-out')) expect(bytes).toBeLessThan(40 * 1024 * 1024);
  });
});
