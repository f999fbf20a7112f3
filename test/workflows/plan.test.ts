import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import {
  approval as approvalQuery,
  approvalDecided,
  approvalWorkflowId,
  decide,
  type Decision,
} from '../../workflows/contracts/approval';
import {
  cancel,
  header,
  pause,
  resume,
  retryTask,
  task as taskQuery,
  tasksReported,
} from '../../workflows/contracts/plan';
import { approval, compensation, plan, task } from '../support/plans';
import {
  failed,
  type PlanWorker,
  started,
  startPlan,
  startPlanWorker,
  succeeded,
  timeSkippingEnvironment,
  until,
  whereTimeSkips,
} from '../support/temporal';

jest.setTimeout(60_000);
let env: TestWorkflowEnvironment;
let worker: PlanWorker | undefined;
beforeAll(async () => {
  env = await timeSkippingEnvironment();
});
beforeEach(async () => {
  env = await whereTimeSkips(env);
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
});
afterAll(() => env.teardown());

const sent = (from: PlanWorker) => from.publications.flatMap(({ tasks }) => tasks);
const gateOf = async (planId: string, taskId: string, round = 1) => {
  const handle = env.client.workflow.getHandle(approvalWorkflowId(`${planId}/${taskId}/${round}`));
  const view = await until(() => handle.query(approvalQuery).catch(() => undefined));
  const answer = (more: Partial<Decision> = {}) =>
    handle.executeUpdate(decide, {
      args: [
        {
          decisionId: 'd-1',
          choice: 'approve',
          edits: [],
          digest: view.request.digest,
          person: { name: 'ana', roles: ['aats-operator'], groups: ['maintainers'] },
          surface: 'web',
          ...more,
        },
      ],
    });
  return { handle, view, answer };
};

describe('planWorkflow', () => {
  it('runs a plan of one task to its end', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one, { greeting: 'hello' }));
    const handle = await startPlan(env, plan([task('greet')], { result: '${{ tasks.greet.output.greeting }}' }));
    expect(await handle.result()).toEqual({ state: 'succeeded', result: 'hello' });
    expect(await handle.query(header)).toMatchObject({ state: 'succeeded', counts: { succeeded: 1 } });
  });

  it('sends what became ready together, with its changes, in one publication', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one));
    const handle = await startPlan(env, plan([task('a'), task('b'), task('c', { needs: ['a', 'b'] })]), {
      planId: 'together',
    });
    await handle.result();
    expect(worker.publications.map(({ tasks }) => tasks.map(({ taskId }) => taskId))).toEqual([['a', 'b'], ['c'], []]);
    const changes = worker.publications.flatMap((one) => one.changes);
    expect(changes.map(({ cursor }) => cursor)).toEqual([1, 2, 3]);
    expect(changes.at(-1)?.plan).toMatchObject({ state: 'succeeded' });
  });

  it('takes several workflow tasks for expressions that take long together', async () => {
    const found = 'inputs.xs.exists(x, inputs.xs.exists(y, y == x + 1000))';
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    worker = await startPlanWorker(env, (one) => succeeded(one));
    const handle = await startPlan(env, plan(ids.map((id) => task(id, { with: { found: `\${{ ${found} }}` } }))), {
      inputs: { xs: Array.from({ length: 280 }, (_, index) => index) },
    });
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    expect(worker.publications.filter(({ tasks }) => tasks.length > 0).length).toBeGreaterThan(1);
    expect(
      sent(worker)
        .map(({ taskId }) => taskId)
        .sort(),
    ).toEqual(ids);
  });

  it('tries again after a pause, and fails for good when the attempts are used up', async () => {
    worker = await startPlanWorker(env, (one) => failed(one));
    const handle = await startPlan(env, plan([task('a')]), { planId: 'again' });
    const outcome = await handle.result();
    expect(outcome).toMatchObject({ state: 'failed', failure: { type: 'Broken', message: 'task a: it broke' } });
    expect(sent(worker).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    const detail = await handle.query(taskQuery, 'a');
    const ends = detail?.attempts.map(({ endedAt }) => Date.parse(endedAt ?? '')) ?? [];
    expect((ends[1] ?? 0) - (ends[0] ?? 0)).toBeGreaterThanOrEqual(900);
  });

  it('ends an attempt that began and then takes too long, and tells its agent', async () => {
    worker = await startPlanWorker(env, (one) => (one.attempt === 1 ? started(one) : succeeded(one)));
    const handle = await startPlan(env, plan([task('slow', { timeoutMs: 3_600_000 })]), { planId: 'slow' });
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    expect(worker.publications.flatMap(({ cancels }) => cancels)).toEqual([
      { planId: 'slow', taskId: 'slow', attempt: 1 },
    ]);
    expect((await handle.query(taskQuery, 'slow'))?.attempts[0]).toMatchObject({ failure: { type: 'Timeout' } });
  });

  it('shares one timer between deadlines and pauses: an early one costs no later one anew', async () => {
    worker = await startPlanWorker(env, (one) =>
      one.taskId === 'slow' ? started(one) : one.attempt < 4 ? failed(one) : succeeded(one),
    );
    const retry = {
      maxAttempts: 4,
      initialIntervalMs: 1000,
      backoffCoefficient: 1,
      maxIntervalMs: 1000,
      nonRetryable: [],
    };
    const handle = await startPlan(
      env,
      plan([task('slow', { timeoutMs: 3_600_000, retry: { ...retry, maxAttempts: 1 } }), task('flaky', { retry })]),
    );
    expect(await handle.result()).toMatchObject({ state: 'failed', failure: { type: 'Timeout' } });
    const { events } = await handle.fetchHistory();
    expect(events?.filter((event) => event.timerStartedEventAttributes)).toHaveLength(4);
  });

  it('goes on over the remote activity when the bus fails the local one', async () => {
    let calls = 0;
    worker = await startPlanWorker(env, (one) => succeeded(one), {
      publisher: {
        publish: () =>
          ++calls <= 3 ? Promise.reject(ApplicationFailure.retryable('away', 'BusUnavailable')) : Promise.resolve(),
      },
    });
    const handle = await startPlan(env, plan([task('a'), task('b', { needs: ['a'] })]));
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    const { events } = await handle.fetchHistory();
    expect(events?.filter((event) => event.activityTaskScheduledEventAttributes).length).toBeGreaterThan(0);
  });

  it('asks a person, sends what the person made of the arguments, and says who approved', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one));
    const gated = task('publish', {
      with: { list: ['a', 'b'], why: '${{ approval.reason }}' },
      approval: approval({ editable: [{ path: '/list', schema: { type: 'array', items: { type: 'string' } } }] }),
    });
    const handle = await startPlan(env, plan([gated]), { planId: 'gated' });
    const { view, answer } = await gateOf('gated', 'publish');
    expect(view.request).toMatchObject({
      subject: { list: ['a', 'b'], why: 'from the answer' },
      excluded: ['jonas'],
    });
    expect(await handle.query(header)).toMatchObject({ counts: { waiting: 1 }, waitingFor: [{ taskId: 'publish' }] });
    expect(sent(worker)).toEqual([]);
    await answer({ edits: [{ path: '/list', value: ['b'] }], reason: 'a is too new' });
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    expect(sent(worker)).toMatchObject([
      {
        arguments: { list: ['b'], why: 'a is too new' },
        approval: { approvalId: 'gated/publish/1', status: 'approved', decidedBy: 'ana', digest: view.request.digest },
      },
    ]);
  });

  it('ignores outcomes that it did not ask for and signals that make no sense', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one));
    const handle = await startPlan(env, plan([task('a', { approval: approval() })]), { planId: 'forged' });
    const { view, answer } = await gateOf('forged', 'a');
    const outcome = { approvalId: 'forged/a/1', status: 'approved' as const, at: '', digest: view.request.digest };
    await handle.signal(approvalDecided, { ...outcome, digest: 'sha256:other' });
    await handle.signal(approvalDecided, { ...outcome, approvalId: 'forged/a/2' });
    await handle.signal('approvalDecided', null);
    await handle.signal('tasksReported', { not: 'a list' });
    await handle.signal('tasksReported', [null, 'x', { taskId: 'a' }]);
    await handle.signal(tasksReported, [
      { planId: 'forged', taskId: 'a', attempt: 7, agent: 'x', at: '', kind: 'succeeded', output: 1 },
    ]);
    expect(await handle.query(header)).toMatchObject({ state: 'running', counts: { waiting: 1 } });
    await answer({ choice: 'reject', reason: 'not today' });
    expect(await handle.result()).toMatchObject({
      state: 'failed',
      failure: { type: 'Rejected', message: 'task a: ana rejected it: not today' },
    });
  });

  it('fails with Expired when nobody answers for days', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one));
    const handle = await startPlan(env, plan([task('a', { approval: approval() })]));
    expect(await handle.result()).toMatchObject({ state: 'failed', failure: { type: 'Expired' } });
  });

  it('pauses when nobody answers in time and the gate says so, and takes the late answer', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one));
    const gated = task('a', { approval: approval({ onExpiry: 'pause' }) });
    const handle = await startPlan(env, plan([gated], { deadlineMs: 86_400_000 }), { planId: 'late' });
    const { answer } = await gateOf('late', 'a');
    await env.sleep('4 days');
    await until(async () => ((await handle.query(header)).state === 'paused' ? true : undefined));
    await handle.executeUpdate(resume, { args: [{ by: 'jonas' }] });
    await answer();
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  });

  it('withdraws what it asked for when it is cancelled, and undoes what was done', async () => {
    worker = await startPlanWorker(env, (one) => succeeded(one, { id: 7 }));
    const handle = await startPlan(
      env,
      plan([
        task('make', { compensation: { ...compensation('unmake'), with: { id: '${{ output.id }}' } } }),
        task('ask', { needs: ['make'], approval: approval() }),
      ]),
      { planId: 'withdrawn' },
    );
    const gate = await gateOf('withdrawn', 'ask');
    expect(await handle.executeUpdate(cancel, { args: [{ by: 'jonas' }] })).toMatchObject({ state: 'cancelling' });
    expect(await handle.result()).toMatchObject({ state: 'cancelled' });
    expect(await gate.handle.result()).toMatchObject({ status: 'withdrawn' });
    expect(sent(worker).at(-1)).toMatchObject({ capability: 'unmake', compensating: true, arguments: { id: 7 } });
    expect(await handle.query(header)).toMatchObject({
      compensation: 'done',
      counts: { compensated: 1, cancelled: 1 },
    });
    await expect(gate.answer()).rejects.toThrow();
  });

  it('takes the cancel request of Temporal itself as one to cancel the plan', async () => {
    worker = await startPlanWorker(env, (one) => (one.compensating ? succeeded(one) : started(one)));
    const handle = await startPlan(env, plan([task('a', { timeoutMs: 60_000, compensation: compensation('undo') })]));
    await until(async () => ((await handle.query(header)).counts.running === 1 ? true : undefined));
    await handle.cancel();
    expect(await handle.result()).toMatchObject({ state: 'cancelled' });
    expect(sent(worker).at(-1)).toMatchObject({ capability: 'undo' });
  });

  it('starts nothing while it is paused, and refuses commands that do not fit', async () => {
    worker = await startPlanWorker(env, (one) => (one.taskId === 'a' ? undefined : succeeded(one)));
    const handle = await startPlan(env, plan([task('a'), task('b', { needs: ['a'] })]), { planId: 'paused' });
    const [dispatch] = await until(() => {
      const all = worker ? sent(worker) : [];
      return Promise.resolve(all.length > 0 ? all : undefined);
    });
    await handle.executeUpdate(pause, { args: [{ by: 'ana', reason: 'lunch' }] });
    if (dispatch) await worker.deliver('paused', [succeeded(dispatch)]);
    await until(async () => ((await handle.query(header)).counts.succeeded === 1 ? true : undefined));
    expect(sent(worker)).toHaveLength(1);
    await expect(handle.executeUpdate(retryTask, { args: [{ by: 'ana', taskId: 'nope' }] })).rejects.toMatchObject({
      cause: { type: 'TaskNotFound' },
    });
    await expect(handle.executeUpdate('pause', { args: [] })).rejects.toMatchObject({
      cause: { type: 'InvalidInput' },
    });
    await handle.executeUpdate(resume, { args: [{ by: 'ana' }] });
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  });

  it('runs a task that failed again, with what depends on it, while the plan goes on', async () => {
    let repaired = false;
    worker = await startPlanWorker(env, (one) =>
      one.taskId === 'flaky' && !repaired
        ? failed(one, 'Broken', { retryable: false })
        : one.taskId === 'long'
          ? undefined
          : succeeded(one),
    );
    const handle = await startPlan(
      env,
      plan([task('flaky', { onFailure: 'continue' }), task('next', { needs: ['flaky'] }), task('long')]),
      { planId: 'repair' },
    );
    await until(async () => ((await handle.query(header)).counts.skipped === 1 ? true : undefined));
    repaired = true;
    await handle.executeUpdate(retryTask, { args: [{ by: 'ana', taskId: 'flaky' }] });
    await until(async () => ((await handle.query(header)).counts.succeeded === 2 ? true : undefined));
    const long = sent(worker).find(({ taskId }) => taskId === 'long');
    if (long) await worker.deliver('repair', [succeeded(long)]);
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  });
});
