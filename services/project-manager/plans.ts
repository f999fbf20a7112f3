import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowExecutionInfo,
} from '@temporalio/client';
import { failure, isFailureType } from '../../workflows/contracts/failures';
import {
  header,
  pause,
  cancel,
  resume,
  retryTask,
  reopening,
  type PlanCommand,
  type PlanHeader,
  type PlanMemo,
  type PlanStart,
  planIdPattern,
  planWorkflowId,
  searchAttributes,
  workflowTaskTimeoutOf,
  task,
  type TaskDetail,
  tasks,
  type TaskView,
} from '../../workflows/contracts/plan';
import { taskQueues } from '../../workflows/contracts/task-queues';
import type { planWorkflow } from '../../workflows/plan';
import { isBusy, querying } from './querying';
import { updating } from './updating';
import { keys, listExecutions, quoted, refuseList } from './visibility';

export interface PlanFilter {
  readonly states: readonly string[];
  readonly owner: string;
  readonly name: string;
  readonly waitingForPerson: boolean;
}
export interface Plans {
  /** Starts it, or finds that the same plan is there already; throws PlanExists for the same id with other content. */
  start(start: PlanStart): Promise<{ readonly header: PlanHeader; readonly created: boolean }>;
  header(planId: string): Promise<PlanHeader>;
  tasks(planId: string, offset: number, limit: number): Promise<readonly TaskView[]>;
  task(planId: string, taskId: string): Promise<TaskDetail>;
  list(
    filter: PlanFilter,
    pageSize: number,
    pageToken: string,
  ): Promise<{ readonly plans: readonly PlanHeader[]; readonly nextPageToken: string }>;
  command(planId: string, name: 'pause' | 'resume' | 'cancel', command: PlanCommand): Promise<PlanHeader>;
  retry(planId: string, command: PlanCommand & { readonly taskId: string }): Promise<PlanHeader>;
}

const page = 1000;
const planStates: readonly string[] = [
  'running',
  'paused',
  'failing',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
] satisfies readonly PlanHeader['state'][];

export function createPlans(client: Client): Plans {
  const handle = (planId: string) => {
    if (!planIdPattern.test(planId)) throw failure('PlanNotFound', `there is no plan ${planId.slice(0, 80)}`);
    return client.workflow.getHandle<typeof planWorkflow>(planWorkflowId(planId));
  };
  /** Turns "there is no such workflow" and "it has ended" into the failures of the closed table. */
  const about = async <T>(planId: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      // An update finds nothing also when the plan has ended; only that one can still be described.
      await handle(planId)
        .describe()
        .catch((missing: unknown) => {
          throw missing instanceof WorkflowNotFoundError
            ? failure('PlanNotFound', `there is no plan ${planId}`)
            : missing;
        });
      throw failure('PlanClosed', `plan ${planId} has ended`);
    }
  };
  /** A plan that somebody terminated may not replay to where it was; then the answer is what the list still knows. */
  const unlessTerminated = async <T>(
    planId: string,
    ask: () => Promise<T>,
    known: (execution: Execution) => T,
  ): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      if (!isBusy(error)) throw error;
      const execution = await handle(planId).describe();
      if (execution.status.name === 'RUNNING') throw error;
      return known(execution);
    }
  };
  const tasksOf = async (planId: string, offset: number, limit: number): Promise<readonly TaskView[]> => {
    const all: TaskView[] = [];
    while (all.length < limit) {
      const next = { offset: offset + all.length, limit: Math.min(page, limit - all.length) };
      const part = await querying(() => handle(planId).query(tasks, next));
      all.push(...part);
      if (part.length < page) break;
    }
    return all;
  };
  const update = <T>(planId: string, work: (updateId: string) => Promise<T>): Promise<T> => {
    const updateId = randomUUID();
    return about(planId, () => updating(() => work(updateId)));
  };
  const messages = { pause, resume, cancel };
  const startWorkflow = (start: PlanStart, workflowIdReusePolicy: 'REJECT_DUPLICATE' | 'ALLOW_DUPLICATE') => {
    const memo: PlanMemo = {
      title: start.plan.title.slice(0, 300),
      contentDigest: start.contentDigest,
      taskCount: start.plan.tasks.length,
    };
    return client.workflow.start<typeof planWorkflow>('planWorkflow', {
      workflowId: planWorkflowId(start.planId),
      taskQueue: taskQueues.plans,
      args: [start],
      workflowIdReusePolicy,
      workflowTaskTimeout: workflowTaskTimeoutOf(start.plan.tasks.length),
      memo: { ...memo },
      staticSummary: start.plan.title.slice(0, 130),
      typedSearchAttributes: [
        { key: keys.kind, value: 'plan' },
        { key: keys.planId, value: start.planId },
        { key: keys.planName, value: start.plan.name },
        { key: keys.status, value: 'running' },
        { key: keys.owner, value: start.owner },
        { key: keys.waitingForPerson, value: false },
      ],
    });
  };
  /** A new run of the workflow goes on from where the ended one stood. Two at once are one: the other finds it running. */
  const reopen = async (planId: string, taskId: string): Promise<PlanHeader> => {
    const answer = await about(planId, () => querying(() => handle(planId).query(reopening, taskId)));
    if ('refusal' in answer) {
      const { type, message } = answer.refusal;
      throw failure(isFailureType(type) ? type : 'PlanStateConflict', message);
    }
    await startWorkflow(answer.start, 'ALLOW_DUPLICATE').catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
    return plans.header(planId);
  };
  const plans: Plans = {
    async start(start) {
      try {
        await startWorkflow(start, 'REJECT_DUPLICATE');
        return { header: startedHeader(start), created: true };
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        const known = await handle(start.planId).describe();
        if (known.memo?.['contentDigest'] !== start.contentDigest)
          throw failure('PlanExists', `there is another plan with the id ${start.planId}`);
        return { header: await plans.header(start.planId), created: false };
      }
    },
    header: (planId) =>
      about(planId, () =>
        unlessTerminated(
          planId,
          () => querying(() => handle(planId).query(header)),
          (execution) => summaryOf(execution),
        ),
      ),
    tasks: (planId, offset, limit) =>
      about(planId, () =>
        unlessTerminated(
          planId,
          () => tasksOf(planId, offset, limit),
          () => [],
        ),
      ),
    async task(planId, taskId) {
      const detail = await about(planId, () => querying(() => handle(planId).query(task, taskId)));
      if (!detail) throw failure('TaskNotFound', `plan ${planId} has no task ${taskId}`);
      return detail;
    },
    async list({ states, owner, name, waitingForPerson }, pageSize, pageToken) {
      const isKnown = states.every((state) => planStates.includes(state));
      const found = isKnown ? [] : [{ pointer: '/states', message: `must be among ${planStates.join(', ')}` }];
      refuseList({ owner, name }, { pageSize, pageToken }, found);
      const terms = [
        `${searchAttributes.kind} = 'plan'`,
        ...(states.length > 0 ? [`${searchAttributes.status} in (${states.map(quoted).join(', ')})`] : []),
        ...(owner === '' ? [] : [`${searchAttributes.owner} = ${quoted(owner)}`]),
        ...(name === '' ? [] : [`${searchAttributes.planName} = ${quoted(name)}`]),
        ...(waitingForPerson ? [`${searchAttributes.waitingForPerson} = true`] : []),
      ];
      const { executions, nextPageToken } = await listExecutions(client, terms.join(' and '), pageSize, pageToken);
      return { plans: executions.map(summaryOf), nextPageToken };
    },
    command: (planId, name, command) =>
      update(planId, (updateId) => handle(planId).executeUpdate(messages[name], { updateId, args: [command] })),
    retry: (planId, command) =>
      update(planId, (updateId) => handle(planId).executeUpdate(retryTask, { updateId, args: [command] })).catch(
        (error: unknown) => {
          if (error instanceof ApplicationFailure && error.type === 'PlanClosed') return reopen(planId, command.taskId);
          throw error;
        },
      ),
  };
  return plans;
}

/** What a plan says of itself before its first task; asking it would make starting wait for a worker. */
const startedHeader = ({ planId, plan, owner, startedAt }: PlanStart): PlanHeader => ({
  planId,
  name: plan.name,
  title: plan.title,
  owner,
  state: 'running',
  compensation: 'none',
  startedAt,
  cursor: 0,
  counts: { pending: plan.tasks.length },
  taskCount: plan.tasks.length,
  waitingFor: [],
});

type Execution = Omit<WorkflowExecutionInfo, 'raw'>;
/** What the list of workflows knows of a plan: no counts, which only the plan itself has. */
function summaryOf(execution: Execution): PlanHeader {
  const memo = (execution.memo ?? {}) as Partial<PlanMemo>;
  const { typedSearchAttributes: attributes } = execution;
  const by = attributes.get(keys.waitingFor) ?? [];
  const startedAt = execution.startTime.toISOString();
  const failed =
    execution.status.name === 'TERMINATED' ||
    execution.status.name === 'FAILED' ||
    execution.status.name === 'TIMED_OUT';
  return {
    planId: attributes.get(keys.planId) ?? '',
    name: attributes.get(keys.planName) ?? '',
    title: memo.title ?? '',
    owner: attributes.get(keys.owner) ?? '',
    state: failed ? 'failed' : ((attributes.get(keys.status) ?? 'running') as PlanHeader['state']),
    compensation: 'none',
    startedAt,
    ...(execution.closeTime && { endedAt: execution.closeTime.toISOString() }),
    cursor: 0,
    counts: {},
    taskCount: memo.taskCount ?? 0,
    waitingFor: by.length > 0 ? [{ approvalId: '', taskId: '', title: '', by, since: startedAt }] : [],
  };
}
