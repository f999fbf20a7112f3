import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { header } from '../../workflows/contracts/plan';
import { plan, task } from '../support/plans';
import { type PlanWorker, startPlan, startPlanWorker, succeeded, timeSkippingEnvironment } from '../support/temporal';

jest.setTimeout(60_000);
let env: TestWorkflowEnvironment;
let worker: PlanWorker | undefined;
beforeAll(async () => {
  env = await timeSkippingEnvironment();
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
});
afterAll(() => env.teardown());

describe('planWorkflow', () => {
  it('runs a plan of one task to its end', async () => {
    worker = await startPlanWorker(env, (task) => succeeded(task, { greeting: 'hello' }));
    const handle = await startPlan(env, plan([task('greet')], { result: '${{ tasks.greet.output.greeting }}' }));
    expect(await handle.result()).toEqual({ state: 'succeeded', result: 'hello' });
    expect(await handle.query(header)).toMatchObject({ state: 'succeeded', counts: { succeeded: 1 } });
  });
});
