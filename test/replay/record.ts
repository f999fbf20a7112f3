import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { approval as approvalQuery, approvalWorkflowId, decide } from '../../workflows/contracts/approval';
import { cancel, header, planWorkflowId, tasksReported } from '../../workflows/contracts/plan';
import { approval, compensation, plan, task } from '../support/plans';
import { devServerEnvironment, failed, startPlan, startPlanWorker, succeeded, until } from '../support/temporal';

/**
 * Records one history of each kind, on the real server, under a name with the version: run before a change of the
 * order of commands and at each release; recorded ones are never overwritten by hand.
 */
const folder = join(process.cwd(), 'test', 'replay', 'histories');

async function main(version: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const env = await devServerEnvironment();
  const worker = await startPlanWorker(env, (one) => {
    if (one.taskId === 'flaky' && one.attempt === 1) return failed(one);
    if (one.taskId === 'wrong') return failed(one, 'Wrong', { retryable: false });
    return succeeded(one, { text: 'x'.repeat(100) });
  });
  const save = async (name: string, workflowId: string, runId?: string): Promise<void> => {
    const history = await env.client.workflow.getHandle(workflowId, runId).fetchHistory();
    writeFileSync(join(folder, `${name}-${version}.json`), historyToJSON(history));
  };
  const each = task('each', {
    forEach: { in: '${{ inputs.xs }}', maxItems: 100, maxFailurePercent: 0 },
    with: { x: '${{ item }}' },
  });
  const quick = {
    maxAttempts: 3,
    initialIntervalMs: 50,
    backoffCoefficient: 1,
    maxIntervalMs: 50,
    nonRetryable: [],
  };

  const fanOut = plan([each, task('flaky', { retry: quick }), task('sum', { needs: ['each', 'flaky'] })]);
  await (await startPlan(env, fanOut, { planId: 'fan-out', inputs: { xs: [1, 2, 3] } })).result();
  await save('plan-fan-out', planWorkflowId('fan-out'));

  const undone = plan([
    task('make', { compensation: compensation('unmake') }),
    task('wrong', { needs: ['make'], retry: quick }),
  ]);
  await (await startPlan(env, undone, { planId: 'undone' })).result();
  await save('plan-compensated', planWorkflowId('undone'));

  const gated = await startPlan(env, plan([task('ask', { approval: approval() })]), { planId: 'gated' });
  const gate = env.client.workflow.getHandle(approvalWorkflowId('gated/ask/1'));
  const { request } = await until(() => gate.query(approvalQuery).catch(() => undefined));
  await gate.executeUpdate(decide, {
    args: [
      {
        decisionId: 'd-1',
        choice: 'approve',
        edits: [],
        digest: request.digest,
        person: { name: 'ana', roles: ['aats-operator'], groups: ['maintainers'] },
        surface: 'cli',
      },
    ],
  });
  await gated.result();
  await gate.result();
  await save('plan-gated', planWorkflowId('gated'));
  await save('approval-approved', approvalWorkflowId('gated/ask/1'));

  const given = await startPlan(env, plan([task('ask', { approval: approval() })]), { planId: 'given-up' });
  const withdrawn = env.client.workflow.getHandle(approvalWorkflowId('given-up/ask/1'));
  await until(() => withdrawn.query(approvalQuery).catch(() => undefined));
  await given.executeUpdate(cancel, { args: [{ by: 'jonas' }] });
  await given.result();
  await withdrawn.result();
  await save('plan-cancelled', planWorkflowId('given-up'));
  await save('approval-withdrawn', approvalWorkflowId('given-up/ask/1'));

  // Continues as new by the number of its signals.
  const long = await startPlan(env, plan([task('ask', { approval: approval() })]), { planId: 'long' });
  const first = long.firstExecutionRunId;
  for (let sent = 0; sent < 5_000; sent += 100)
    await Promise.all(
      Array.from({ length: 100 }, () =>
        env.client.workflow.getHandle(planWorkflowId('long')).signal(tasksReported, []),
      ),
    );
  const newest = env.client.workflow.getHandle(planWorkflowId('long'));
  await until(async () => ((await newest.describe()).runId === first ? undefined : true));
  await newest.executeUpdate(cancel, { args: [{ by: 'jonas' }] });
  await until(async () => ((await newest.query(header)).state === 'cancelled' ? true : undefined));
  await save('plan-continued', planWorkflowId('long'), (await newest.describe()).runId);

  await worker.close();
  await env.teardown();
}

void main(process.argv[2] ?? 'v1').then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
