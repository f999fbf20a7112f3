import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowExecutionInfo,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { failure } from '../../workflows/contracts/failures';
import {
  header,
  pause,
  cancel,
  resume,
  retryTask,
  type PlanCommand,
  type PlanHeader,
  type PlanMemo,
  type PlanStart,
  planWorkflowId,
  searchAttributes,
  task,
  type TaskDetail,
  tasks,
  type TaskView,
} from '../../workflows/contracts/plan';
import { taskQueues } from '../../workflows/contracts/task-queues';
import type { planWorkflow } from '../../workflows/plan';

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

export function createPlans(client: Client): Plans {
  const handle = (planId: string) => client.workflow.getHandle<typeof planWorkflow>(planWorkflowId(planId));
  /** Turns "there is no such workflow" and "it has ended" into the failures of the closed table. */
  const about = async <T>(planId: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      // An update finds nothing also when the plan has ended; only that one can still be described.
      const state = await handle(planId)
        .describe()
        .then(
          ({ status }) => status.name,
          () => undefined,
        );
      if (state === undefined) throw failure('PlanNotFound', `there is no plan ${planId}`);
      throw failure('PlanClosed', `plan ${planId} has ended`);
    }
  };
  const update = async <T>(planId: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await about(planId, work);
    } catch (error) {
      throw error instanceof WorkflowUpdateFailedError && error.cause ? error.cause : error;
    }
  };
  const messages = { pause, resume, cancel };
  const plans: Plans = {
    async start(start) {
      const memo: PlanMemo = {
        title: start.plan.title.slice(0, 300),
        contentDigest: start.contentDigest,
        taskCount: start.plan.tasks.length,
      };
      try {
        await client.workflow.start<typeof planWorkflow>('planWorkflow', {
          workflowId: planWorkflowId(start.planId),
          taskQueue: taskQueues.plans,
          args: [start],
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          memo: { ...memo },
          staticSummary: start.plan.title.slice(0, 200),
          searchAttributes: {
            [searchAttributes.kind]: ['plan'],
            [searchAttributes.planId]: [start.planId],
            [searchAttributes.planName]: [start.plan.name],
            [searchAttributes.status]: ['running'],
            [searchAttributes.owner]: [start.owner],
            [searchAttributes.waitingForPerson]: [false],
          },
        });
        return { header: await plans.header(start.planId), created: true };
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        const known = await handle(start.planId).describe();
        if (known.memo?.['contentDigest'] !== start.contentDigest)
          throw failure('PlanExists', `there is another plan with the id ${start.planId}`);
        return { header: await plans.header(start.planId), created: false };
      }
    },
    header: (planId) => about(planId, () => handle(planId).query(header)),
    tasks: (planId, offset, limit) =>
      about(planId, async () => {
        const all: TaskView[] = [];
        while (all.length < limit) {
          const part = await handle(planId).query(tasks, {
            offset: offset + all.length,
            limit: Math.min(page, limit - all.length),
          });
          all.push(...part);
          if (part.length < page) break;
        }
        return all;
      }),
    async task(planId, taskId) {
      const detail = await about(planId, () => handle(planId).query(task, taskId));
      if (!detail) throw failure('TaskNotFound', `plan ${planId} has no task ${taskId}`);
      return detail;
    },
    async list({ states, owner, name, waitingForPerson }, pageSize, pageToken) {
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
      update(planId, () => handle(planId).executeUpdate(messages[name], { args: [command] })),
    retry: (planId, command) => update(planId, () => handle(planId).executeUpdate(retryTask, { args: [command] })),
  };
  return plans;
}

const quoted = (text: string): string => {
  if (!/^[\w.-]{0,100}$/.test(text))
    throw failure('InvalidInput', 'a filter holds letters, digits, hyphens and dots only');
  return `'${text}'`;
};

/** One page of visibility; page tokens are opaque to clients. */
export async function listExecutions(
  client: Client,
  query: string,
  pageSize: number,
  pageToken: string,
): Promise<{ readonly executions: readonly WorkflowExecutionInfo[]; readonly nextPageToken: string }> {
  const size = Math.min(200, Math.max(1, pageSize === 0 ? 50 : pageSize));
  const skip = pageToken === '' ? 0 : Number(Buffer.from(pageToken, 'base64url').toString('utf8'));
  if (!Number.isSafeInteger(skip) || skip < 0 || skip > 10_000)
    throw failure('InvalidInput', 'the page token is not one of ours');
  const executions: WorkflowExecutionInfo[] = [];
  let seen = 0;
  for await (const execution of client.workflow.list({ query, pageSize: Math.min(1000, skip + size + 1) })) {
    seen += 1;
    if (seen <= skip) continue;
    if (executions.length === size)
      return { executions, nextPageToken: Buffer.from(String(skip + size)).toString('base64url') };
    executions.push(execution);
  }
  return { executions, nextPageToken: '' };
}

const attribute = (execution: WorkflowExecutionInfo, name: string): unknown => {
  const value: unknown = execution.searchAttributes[name];
  return Array.isArray(value) ? value[0] : value;
};
export const textAttribute = (execution: WorkflowExecutionInfo, name: string): string =>
  String(attribute(execution, name) ?? '');

/** What the list of workflows knows of a plan: no counts, which only the plan itself has. */
function summaryOf(execution: WorkflowExecutionInfo): PlanHeader {
  const memo = (execution.memo ?? {}) as Partial<PlanMemo>;
  const waiting: unknown = execution.searchAttributes[searchAttributes.waitingFor];
  const by = Array.isArray(waiting) ? waiting.map(String) : [];
  const startedAt = execution.startTime.toISOString();
  const failed =
    execution.status.name === 'TERMINATED' ||
    execution.status.name === 'FAILED' ||
    execution.status.name === 'TIMED_OUT';
  return {
    planId: textAttribute(execution, searchAttributes.planId),
    name: textAttribute(execution, searchAttributes.planName),
    title: memo.title ?? '',
    owner: textAttribute(execution, searchAttributes.owner),
    state: failed ? 'failed' : (textAttribute(execution, searchAttributes.status) as PlanHeader['state']),
    compensation: 'none',
    startedAt,
    ...(execution.closeTime && { endedAt: execution.closeTime.toISOString() }),
    cursor: 0,
    counts: {},
    taskCount: memo.taskCount ?? 0,
    waitingFor: by.length > 0 ? [{ approvalId: '', taskId: '', title: '', by, since: startedAt }] : [],
  };
}
