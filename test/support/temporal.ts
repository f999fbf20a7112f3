import { randomUUID } from 'node:crypto';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { defineSearchAttributeKey } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { type WorkflowHandleWithFirstExecutionRunId, WorkflowNotFoundError } from '@temporalio/client';
import {
  type BusActivities,
  createBusActivities,
  createDataActivities,
  type Publication,
  type Publisher,
} from '../../activities/plan';
import { createStackContext } from '../../stack/context';
import { timeSkippingServer } from '../../stack/time-skipping';
import { dataConverter } from '../../services/runtime/payload-codec';
import { workflowBundle } from '../../workers/bundle-workflows';
import type { Json } from '../../workflows/contracts/json';
import type { TaskDispatch, TaskReport } from '../../workflows/contracts/messages';
import {
  planWorkflowId,
  type PlanStart,
  searchAttributes,
  tasksReported,
  workflowTaskTimeoutOf,
} from '../../workflows/contracts/plan';
import type { PlanDefinition } from '../../workflows/contracts/plan-definition';
import { taskQueues } from '../../workflows/contracts/task-queues';
import type { planWorkflow } from '../../workflows/plan';

// Temporal's own lines would hide the tests'.
Runtime.install({ logger: new DefaultLogger('ERROR') });

/** The SDK waits 5 s for a server to start, which a busy machine may not keep: three tries. */
async function patiently<T>(start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

/** Temporal whose time skips ahead while nothing happens; global to a test file, so its tests run in sequence. */
export async function timeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  const path = await timeSkippingServer(await createStackContext());
  const env = await patiently(() =>
    TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
      client: { dataConverter },
    }),
  );
  await env.connection.operatorService.addSearchAttributes({
    namespace: env.namespace ?? 'default',
    searchAttributes: Object.fromEntries(
      Object.values(searchAttributes).map((name) => [
        name,
        name === searchAttributes.waitingForPerson ? 5 : name === searchAttributes.waitingFor ? 7 : 2,
      ]),
    ),
  });
  return env;
}

/**
 * The same environment, or a new one when its time stands still: a signal that arrives in the moment in which its workflow
 * ends leaves the server (1.38) with a lock on time that nobody gives back.
 */
export async function whereTimeSkips(env: TestWorkflowEnvironment): Promise<TestWorkflowEnvironment> {
  const isFree = await env.connection
    .withDeadline(Date.now() + 5000, () => env.sleep('1 minute'))
    .then(
      () => true,
      () => false,
    );
  if (isFree) return env;
  await env.teardown();
  return timeSkippingEnvironment();
}

/** Temporal's real server, in memory: for limits, histories and time that passes by itself. */
export async function devServerEnvironment(): Promise<TestWorkflowEnvironment> {
  const { temporal } = await (await createStackContext()).python();
  return patiently(() =>
    TestWorkflowEnvironment.createLocal({
      client: { dataConverter },
      server: {
        executable: { type: 'existing-path', path: temporal },
        searchAttributes: Object.values(searchAttributes).map((name) =>
          defineSearchAttributeKey(
            name,
            name === searchAttributes.waitingForPerson
              ? 'BOOL'
              : name === searchAttributes.waitingFor
                ? 'KEYWORD_LIST'
                : 'KEYWORD',
          ),
        ),
        log: { format: 'json', level: 'error' },
      },
    }),
  );
}

/** What an agent makes of one attempt; nothing when it stays silent. */
export type Echo = (dispatch: TaskDispatch) => TaskReport | readonly TaskReport[] | undefined;

export const succeeded = ({ planId, taskId, attempt }: TaskDispatch, output: Json = {}): TaskReport => ({
  planId,
  taskId,
  attempt,
  agent: 'echo-1',
  at: new Date().toISOString(),
  kind: 'succeeded',
  output,
});
export const started = ({ planId, taskId, attempt, heartbeatMs }: TaskDispatch): TaskReport => ({
  planId,
  taskId,
  attempt,
  agent: 'echo-1',
  at: new Date().toISOString(),
  kind: 'started',
  heartbeatMs,
});
export const failed = (
  { planId, taskId, attempt }: TaskDispatch,
  type = 'Broken',
  options: { readonly retryable?: boolean } = {},
): TaskReport => ({
  planId,
  taskId,
  attempt,
  agent: 'echo-1',
  at: new Date().toISOString(),
  kind: 'failed',
  failure: { type, message: 'it broke' },
  retryable: options.retryable ?? true,
});

/**
 * A worker of every queue in this process, with an agent that answers at once through the same signal as the
 * coordinator's. `publications` is everything that plans said.
 */
export async function startPlanWorker(
  env: TestWorkflowEnvironment,
  echo: Echo,
  options: { readonly publisher?: Publisher; readonly worker?: Partial<WorkerOptions> } = {},
) {
  const publications: Publication[] = [];
  const said = new Set<string>();
  const onTheirWay = new Set<Promise<void>>();
  const parts = new Map<string, string>();
  const known = new Set<string>();
  const publish: Publisher = {
    async publish(publication) {
      await options.publisher?.publish(publication);
      // A publication may come twice, and agents know attempts by their event id.
      const text = JSON.stringify(publication);
      if (!said.has(text)) publications.push(publication);
      said.add(text);
      const fresh = publication.tasks.filter(({ planId, taskId, attempt }) => {
        const id = `${planId}/${taskId}/${attempt}`;
        return !known.has(id) && known.add(id);
      });
      const reports = fresh.flatMap((task) => echo(task) ?? []);
      if (reports.length > 0) await send(publication.planId, reports);
    },
  };
  /**
   * As the coordinator does, after the dispatch was acknowledged. While reports travel the plan may wait for nothing else,
   * and a server that skips time would skip to the end of the plan's run.
   */
  const send = async (planId: string, reports: readonly TaskReport[]): Promise<void> => {
    const time = env.connection.testService;
    await time?.lockTimeSkipping({});
    const travel = async (): Promise<void> => {
      await turn();
      await deliver(planId, reports).finally(() => time?.unlockTimeSkipping({}));
    };
    // What fails on its way fails the test at its end.
    const travelling = travel();
    travelling.catch(() => undefined);
    onTheirWay.add(travelling);
  };
  /** 500 reports and 256 KiB a signal. */
  const deliver = async (planId: string, reports: readonly TaskReport[]): Promise<void> => {
    for (let at = 0, bytes = 0, from = 0; at < reports.length;) {
      bytes += JSON.stringify(reports[at]).length;
      at += 1;
      if (at < reports.length && at - from < 500 && bytes < 200 * 1024) continue;
      await env.client.workflow
        .getHandle(planWorkflowId(planId))
        .signal(tasksReported, reports.slice(from, at))
        .catch((error: unknown) => {
          if (!(error instanceof WorkflowNotFoundError)) throw error; // the plan has ended: reports mean nothing
        });
      from = at;
      bytes = 0;
    }
  };
  const bus = createBusActivities({ publisher: publish });
  const data = createDataActivities({
    snapshots: {
      put: (content, name) => {
        const id = `${name}-${parts.size}-${randomUUID()}`;
        parts.set(id, content);
        return Promise.resolve(id);
      },
      get: (id) => Promise.resolve(parts.get(id) ?? ''),
    },
  });
  const bundle = await workflowBundle();
  const create = (taskQueue: string, activities: object, more: Partial<WorkerOptions> = {}): Promise<Worker> =>
    Worker.create({
      connection: env.nativeConnection,
      namespace: env.namespace ?? 'default',
      dataConverter,
      taskQueue,
      activities,
      ...more,
    });
  const workers = await Promise.all([
    create(taskQueues.plans, bus, {
      workflowBundle: bundle,
      maxCachedWorkflows: 100,
      ...options.worker,
    }),
    create(taskQueues.bus, bus),
    create(taskQueues.data, data),
  ]);
  const running = workers.map((worker) => worker.run());
  return {
    publications,
    parts,
    deliver,
    async close(): Promise<void> {
      const arrived = await Promise.allSettled(onTheirWay);
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      for (const one of arrived) if (one.status === 'rejected') throw one.reason;
    },
  };
}
export type PlanWorker = Awaited<ReturnType<typeof startPlanWorker>>;
export type { BusActivities };

/** Starts a plan as the project manager does. */
export async function startPlan(
  env: TestWorkflowEnvironment,
  definition: PlanDefinition,
  options: {
    readonly planId?: string;
    readonly inputs?: PlanStart['inputs'];
    readonly owner?: string;
    readonly workflowTaskTimeout?: `${number} seconds`;
  } = {},
): Promise<WorkflowHandleWithFirstExecutionRunId<typeof planWorkflow>> {
  const planId = options.planId ?? `p-${randomUUID()}`;
  return env.client.workflow.start<typeof planWorkflow>('planWorkflow', {
    taskQueue: taskQueues.plans,
    workflowId: planWorkflowId(planId),
    workflowTaskTimeout: options.workflowTaskTimeout ?? workflowTaskTimeoutOf(definition.tasks.length),
    args: [
      {
        planId,
        plan: definition,
        inputs: options.inputs ?? {},
        owner: options.owner ?? 'jonas',
        startedAt: new Date(await env.currentTimeMs()).toISOString(),
        contentDigest: 'sha256:0',
      },
    ],
  });
}

/** Asks until there is an answer; fails after 25 s. */
export async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const ends = Date.now() + 25_000;
  for (;;) {
    // A question that a workflow task overtakes may stay without an answer.
    const answer = await Promise.race([ask(), pause(2000, undefined)]);
    if (answer !== undefined) return answer;
    if (Date.now() > ends) throw new Error('nothing came of it in 25 s');
    await pause(20);
  }
}
