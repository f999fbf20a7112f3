import { setTimeout as pause } from 'node:timers/promises';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { workflowBundle } from '../../workers/bundle-workflows';
import { header, tasksReported } from '../../workflows/contracts/plan';
import { plan, task } from '../support/plans';
import { createPlans } from '../../services/project-manager/plans';
import { querying } from '../../services/project-manager/querying';
import {
  devServerEnvironment,
  type PlanWorker,
  startPlan,
  startPlanWorker,
  succeeded,
  until,
} from '../support/temporal';

jest.setTimeout(120_000);
/** Of so many, some are asked before their next workflow task begins. */
const plans = 6;
const ids = Array.from({ length: 30 }, (_, index) => `t${index}`);
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

it('leaves histories that replay, although plans are asked while no worker has them and signals keep coming', async () => {
  const definition = plan([...ids.map((id) => task(id)), task('end', { needs: ids })]);
  let sent = 0;
  worker = await startPlanWorker(env, () => void (sent += 1), {
    worker: { stickyQueueScheduleToStartTimeout: '1 second' },
  });
  const handles = await Promise.all(
    Array.from({ length: plans }, (_, index) => startPlan(env, definition, { planId: `asked-${index}` })),
  );
  await until(() => Promise.resolve(sent === plans * ids.length ? true : undefined));
  await worker.close();
  worker = undefined;

  // Each question waits for a worker; what is said meanwhile belongs to the next workflow task.
  const asked = Promise.all(handles.map((handle) => querying(() => handle.query(header))));
  const second = startPlanWorker(env, (one) => (one.taskId === 'end' ? succeeded(one) : undefined));
  const talk = handles.map(async (handle, index) => {
    for (const taskId of ids) {
      const report = { planId: `asked-${index}`, taskId, attempt: 1, heartbeatMs: 0 };
      await handle.signal(tasksReported, [succeeded(report as Parameters<typeof succeeded>[0])]);
      await pause(50);
    }
  });
  const [answers] = await Promise.all([asked, ...talk]);
  worker = await second;
  for (const { state } of answers) expect(['running', 'succeeded']).toContain(state);
  for (const handle of handles) {
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, await handle.fetchHistory());
    expect(await handle.query(header)).toMatchObject({ state: 'succeeded' });
  }
});

it('says what the list knows of a plan that was terminated before a task began with what it was told', async () => {
  worker = await startPlanWorker(env, () => undefined);
  const planId = 'terminated';
  const handle = await startPlan(env, plan([task('a'), task('b', { needs: ['a'] })]), { planId });
  await until(() => Promise.resolve((worker?.publications.length ?? 0) > 0 ? true : undefined));
  await worker.close();
  worker = undefined;
  const report = { planId, taskId: 'a', attempt: 1, heartbeatMs: 0 };
  await handle.signal(tasksReported, [succeeded(report as Parameters<typeof succeeded>[0])]);
  await handle.terminate('enough');
  worker = await startPlanWorker(env, () => undefined);
  const plans = createPlans(env.client);
  expect(await plans.header(planId)).toMatchObject({ state: 'failed' });
  expect(await plans.tasks(planId, 0, 100)).toEqual([]);
});
