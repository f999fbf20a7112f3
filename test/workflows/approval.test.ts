import type { TestWorkflowEnvironment } from '@temporalio/testing';
import {
  approval,
  type ApprovalRequest,
  approvalWorkflowId,
  decide,
  type Decision,
  withdraw,
} from '../../workflows/contracts/approval';
import { taskQueues } from '../../workflows/contracts/task-queues';
import type { approvalWorkflow } from '../../workflows/approval';
import { type PlanWorker, startPlanWorker, timeSkippingEnvironment } from '../support/temporal';

jest.setTimeout(60_000);
let env: TestWorkflowEnvironment;
let worker: PlanWorker;
beforeAll(async () => {
  env = await timeSkippingEnvironment();
  worker = await startPlanWorker(env, () => undefined);
});
afterAll(async () => {
  await worker.close();
  await env.teardown();
});

const request = async (taskId: string, more: Partial<ApprovalRequest> = {}): Promise<ApprovalRequest> => {
  const now = await env.currentTimeMs();
  return {
    approvalId: `p/${taskId}/1`,
    planId: 'p',
    planName: 'p',
    planTitle: 'P',
    taskId,
    taskTitle: taskId,
    round: 1,
    capability: 'echo',
    at: 'before',
    title: 'May it run?',
    subject: { list: ['a', 'b'], fixed: 1 },
    show: [],
    editable: [
      { path: '/list', schema: { type: 'array', items: { type: 'string' } } },
      { path: '/gone/note', schema: { type: 'string' } },
    ],
    by: ['group:maintainers'],
    excluded: ['jonas'],
    reasonRequired: false,
    requestedBy: 'jonas',
    requestedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 86_400_000).toISOString(),
    onExpiry: 'reject',
    digest: 'sha256:1',
    ...more,
  };
};
const start = async (taskId: string, more: Partial<ApprovalRequest> = {}) => {
  const asked = await request(taskId, more);
  const handle = await env.client.workflow.start<typeof approvalWorkflow>('approvalWorkflow', {
    taskQueue: taskQueues.plans,
    workflowId: approvalWorkflowId(asked.approvalId),
    args: [asked],
  });
  const answer = (given: Partial<Decision> = {}) =>
    handle.executeUpdate(decide, {
      args: [
        {
          decisionId: 'd-1',
          choice: 'approve',
          edits: [],
          digest: 'sha256:1',
          person: { name: 'ana', roles: ['aats-operator'], groups: ['maintainers'] },
          surface: 'web',
          ...given,
        },
      ],
    });
  return { handle, answer };
};
const refusal = (type: string) => ({ cause: { type } });

describe('approvalWorkflow', () => {
  it('keeps the first decision, repeats it for the same id, and refuses a second one', async () => {
    const { handle, answer } = await start('first');
    const outcome = await answer({ edits: [{ path: '/list', value: ['b'] }] });
    expect(outcome).toMatchObject({ status: 'approved', decidedBy: 'ana', subject: { list: ['b'], fixed: 1 } });
    expect(await handle.result()).toEqual(outcome);
    await expect(answer({ decisionId: 'd-2', choice: 'reject', reason: 'no' })).rejects.toThrow();
    expect(await handle.query(approval)).toMatchObject({ status: 'approved' });
  });

  it('refuses who may not answer, what was not shown, and what may not be changed', async () => {
    const { handle, answer } = await start('refused');
    const ana = { name: 'ana', roles: ['aats-operator'], groups: ['maintainers'] } as const;
    await expect(answer({ person: { ...ana, name: 'jonas' } })).rejects.toMatchObject(refusal('NotEligible'));
    await expect(answer({ person: { ...ana, groups: [] } })).rejects.toMatchObject(refusal('NotEligible'));
    await expect(answer({ person: { ...ana, roles: ['aats-viewer'] } })).rejects.toMatchObject(refusal('NotEligible'));
    await expect(answer({ digest: 'sha256:2' })).rejects.toMatchObject(refusal('ApprovalSuperseded'));
    await expect(answer({ edits: [{ path: '/fixed', value: 2 }] })).rejects.toMatchObject(refusal('InvalidInput'));
    await expect(answer({ edits: [{ path: '/list', value: [1] }] })).rejects.toMatchObject(refusal('InvalidInput'));
    await expect(answer({ edits: [{ path: '/gone/note', value: '' }] })).rejects.toMatchObject(refusal('InvalidInput'));
    await expect(answer({ choice: 'maybe' as 'approve' })).rejects.toMatchObject(refusal('InvalidInput'));
    await expect(answer({ reason: 'x'.repeat(2001) })).rejects.toMatchObject(refusal('InvalidInput'));
    await expect(answer({ choice: 'reject' })).rejects.toMatchObject(refusal('InvalidInput'));
    expect(await handle.query(approval)).toMatchObject({ status: 'open' });
    const { events } = await handle.fetchHistory();
    expect(events?.some((event) => event.workflowExecutionUpdateAcceptedEventAttributes)).toBe(false);
    await handle.signal(withdraw, { reason: 'done' });
    expect(await handle.result()).toMatchObject({ status: 'withdrawn', reason: 'done' });
  });

  it('is rejected by nobody when it expires: it says expired, and never approves', async () => {
    const { handle } = await start('expired');
    expect(await handle.result()).toMatchObject({ status: 'expired' });
  });

  it.each([null, {}, { reason: { a: 1 } }])(
    'is withdrawn by a signal that makes little sense too: %j',
    async (given) => {
      const { handle } = await start(`odd${JSON.stringify(given).length}`);
      await handle.signal('withdraw', given);
      expect(await handle.result()).toMatchObject({ status: 'withdrawn', reason: '' });
    },
  );

  it('stays open beyond its time when the plan is to pause', async () => {
    const { handle, answer } = await start('open', { onExpiry: 'pause' });
    await env.sleep('2 days');
    expect(await handle.query(approval)).toMatchObject({ status: 'open' });
    await answer();
    expect(await handle.result()).toMatchObject({ status: 'approved' });
  });
});
