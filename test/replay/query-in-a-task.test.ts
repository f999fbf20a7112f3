import { temporal } from '@temporalio/proto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { NativeConnection, Worker } from '@temporalio/worker';
import { workflowBundle } from '../../workers/bundle-workflows';
import { header, tasksReported } from '../../workflows/contracts/plan';
import { plan, task } from '../support/plans';
import {
  devServerEnvironment,
  type PlanWorker,
  startPlan,
  startPlanWorker,
  succeeded,
  until,
} from '../support/temporal';
import { startWire } from '../support/temporal-wire';

jest.setTimeout(120_000);
const { PollWorkflowTaskQueueResponse: Poll } = temporal.api.workflowservice.v1;

let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await devServerEnvironment();
});
afterAll(() => env.teardown());

const moment = () => {
  let come: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => (come = resolve));
  return { promise, come };
};

it.each([
  ['was sent out before the task began', 'before'],
  ['is sent out as if no task had begun', 'after'],
] as const)(
  'leaves a history that replays when a query that %s arrives while a local activity runs',
  async (_name, sentOut) => {
    const [asked, publishing, arrived] = [moment(), moment(), moment()];
    const planId = `taken-${sentOut}`;
    const startedEvent = async (): Promise<number> => {
      const { events } = await env.client.workflow.getHandle(`plan/${planId}`).fetchHistory();
      return Number(events?.findLast((event) => event.workflowTaskStartedEventAttributes)?.eventId ?? 0);
    };
    // The server sends a query out at once, and the worker gets it when a task has begun meanwhile.
    const wire = await startWire(env.address, 'PollWorkflowTaskQueue', async (answer) => {
      const polled = Poll.decode(answer);
      if (!polled.query) return answer;
      asked.come();
      await publishing.promise;
      if (sentOut === 'after') polled.previousStartedEventId = (await startedEvent()) as never;
      setTimeout(arrived.come, 200);
      return Buffer.from(Poll.encode(polled).finish());
    });
    const connection = await NativeConnection.connect({ address: wire.address });
    let publications = 0;
    let worker: PlanWorker | undefined;
    try {
      worker = await startPlanWorker(env, (one) => (one.taskId === 'end' ? succeeded(one) : undefined), {
        worker: { connection },
        publisher: {
          async publish() {
            publications += 1;
            if (publications !== 2) return;
            publishing.come();
            await arrived.promise;
          },
        },
      });
      const ids = ['a', 'b', 'c'];
      const after = ids.map((id) => task(`${id}2`, { needs: [id] }));
      const definition = plan([
        ...ids.map((id) => task(id)),
        ...after,
        task('end', { needs: after.map(({ id }) => id) }),
      ]);
      const handle = await startPlan(env, definition, { planId, workflowTaskTimeout: '2 seconds' });
      await until(() => Promise.resolve(publications === 1 ? true : undefined));
      const report = (taskId: string) =>
        handle.signal(tasksReported, [
          succeeded({ planId, taskId, attempt: 1, heartbeatMs: 0 } as Parameters<typeof succeeded>[0]),
        ]);
      const answer = env.client.withDeadline(Date.now() + 30_000, () => handle.query(header)).catch(() => undefined);
      await asked.promise;
      await report('a');
      await arrived.promise;
      // What comes before the lost task is given out again.
      for (const id of ['b', 'c']) await report(id);
      await until(async () => ((await handle.query(header)).counts.succeeded === 3 ? true : undefined));
      for (const id of ids) await report(`${id}2`);
      expect(await handle.result()).toMatchObject({ state: 'succeeded' });
      await answer;
      const history = await handle.fetchHistory();
      expect(history.events?.some((event) => event.workflowTaskTimedOutEventAttributes)).toBe(true);
      // What is refused once goes on then.
      expect(history.events?.filter((event) => event.workflowTaskFailedEventAttributes).length).toBeLessThanOrEqual(1);
      await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history);
    } finally {
      await worker?.close();
      await connection.close();
      wire.close();
    }
  },
);
