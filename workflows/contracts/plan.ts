import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Json, JsonObject } from './json';
import type { PlanDefinition } from './plan-definition';
import type { ApprovalOutcome } from './approval';
import type { TaskReport } from './messages';
import type { TaskFailure } from './task-failure';

export type { TaskFailure };

/** States of a task: closed, docs/plans.md "States"; anything else is a bug. */
export type TaskState =
  | 'pending'
  | 'queued'
  | 'dispatched'
  | 'running'
  | 'retrying'
  | 'waiting'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'skipped'
  | 'compensating'
  | 'compensated'
  | 'compensationFailed';
export type PlanState = 'running' | 'paused' | 'failing' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled';
export type CompensationState = 'none' | 'done' | 'incomplete';

/** What `planWorkflow` is started with. A continued run gets `continued` and nothing is evaluated anew. */
export interface PlanStart {
  readonly planId: string;
  readonly plan: PlanDefinition;
  /** Checked against the plan's schemas, defaults filled in. */
  readonly inputs: JsonObject;
  /** Name of the person or service that started it. */
  readonly owner: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** `sha256:` of RFC 8785 of plan and inputs: equal content with the same id is the same plan. */
  readonly contentDigest: string;
  /** Where an earlier run of the same plan stood: as text, or in parts in the artifact store; and what came meanwhile. */
  readonly continued?: {
    readonly inline?: string;
    readonly parts?: readonly string[];
    readonly reports?: readonly TaskReport[];
    readonly outcomes?: readonly ApprovalOutcome[];
    /** The plan had ended and goes on with this task. */
    readonly retryTaskId?: string;
  };
}

/** One attempt, as people see it. */
export interface AttemptView {
  readonly attempt: number;
  readonly state: TaskState;
  readonly agent?: string;
  readonly dispatchedAt?: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly failure?: TaskFailure;
}

/** A task in lists and in changes; times RFC 3339. An item of a forEach has `parent` and the id `<parent>.<index>`. */
export interface TaskView {
  readonly id: string;
  readonly title: string;
  readonly capability: string;
  readonly state: TaskState;
  readonly attempt: number;
  readonly needs: readonly string[];
  readonly after: readonly string[];
  readonly parent?: string;
  readonly readyAt?: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly agent?: string;
  readonly failure?: TaskFailure;
  /** Why it was skipped or what it waits for, in words. */
  readonly reason?: string;
  /** Open approval, when waiting for people. */
  readonly approvalId?: string;
  /** Of a forEach: how many items there are, by state. */
  readonly items?: Readonly<Partial<Record<TaskState, number>>>;
  readonly hasCompensation?: boolean;
}
/** One task with everything that is kept of it. */
export interface TaskDetail extends TaskView {
  readonly arguments?: JsonObject;
  readonly output?: Json;
  readonly attempts: readonly AttemptView[];
}

export interface WaitingApproval {
  readonly approvalId: string;
  readonly taskId: string;
  readonly title: string;
  readonly by: readonly string[];
  readonly since: string;
}

/** The plan without its tasks. */
export interface PlanHeader {
  readonly planId: string;
  readonly name: string;
  readonly title: string;
  readonly owner: string;
  readonly state: PlanState;
  readonly compensation: CompensationState;
  readonly startedAt: string;
  readonly endedAt?: string;
  /** Number of the newest change; grows by one with each published change set, over all runs. */
  readonly cursor: number;
  readonly counts: Readonly<Partial<Record<TaskState, number>>>;
  readonly taskCount: number;
  readonly waitingFor: readonly WaitingApproval[];
  readonly failure?: TaskFailure;
  readonly result?: Json;
  readonly resultProblem?: string;
}

/** An attempt that began to be, or ended, with a change; what lineage is made of. */
export interface AttemptChange extends AttemptView {
  readonly taskId: string;
  /** Artifacts (`sha256:<hex>`) named by its arguments. */
  readonly used?: readonly string[];
  /** Artifacts named by its result. */
  readonly produced?: readonly string[];
}

/** What changed with one activation: published to `system.events.plans`, keyed by plan. */
export interface ChangeSet {
  readonly planId: string;
  readonly cursor: number;
  /** RFC 3339. */
  readonly at: string;
  readonly plan?: PlanHeader;
  readonly tasks: readonly TaskView[];
  /** Of these tasks: attempts that ended, however quickly, and those that are under way. */
  readonly attempts: readonly AttemptChange[];
}

/** How the workflow ends; a plan that failed is a workflow that completed and says so. */
export interface PlanOutcome {
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  readonly result: Json;
  readonly failure?: TaskFailure;
}

/** Reports of agents, gathered by the coordinator: at most 500 and 256 KiB. Stale and repeated ones change nothing. */
export const tasksReported = defineSignal<[readonly TaskReport[]]>('tasksReported');
/** Outcome of a gate; see contracts/approval.ts. */
export const header = defineQuery<PlanHeader>('header');
/** A page of tasks in plan order, items after their parent; at most 1,000. */
export const tasks = defineQuery<readonly TaskView[], [{ readonly offset: number; readonly limit: number }]>('tasks');
/** Null when there is no such task. */
export const task = defineQuery<TaskDetail | null, [string]>('task');

/** Who asks, for the record. */
export interface PlanCommand {
  readonly by: string;
  readonly reason?: string;
}
export const pause = defineUpdate<PlanHeader, [PlanCommand]>('pause');
export const resume = defineUpdate<PlanHeader, [PlanCommand]>('resume');
export const cancel = defineUpdate<PlanHeader, [PlanCommand]>('cancel');
/** Runs a failed, cancelled or succeeded task again, and what depends on it (TaskNotFound, TaskStateConflict). */
export const retryTask = defineUpdate<PlanHeader, [PlanCommand & { readonly taskId: string }]>('retryTask');

/**
 * What a plan that has ended is to be started with, to go on with a task; or why it cannot (PlanClosed,
 * PlanStateConflict, or as `retryTask`), as a value, since a query's failure loses its type on the way.
 */
export const reopening = defineQuery<{ readonly start: PlanStart } | { readonly refusal: TaskFailure }, [string]>(
  'reopening',
);

export const planWorkflowId = (planId: string): string => `plan/${planId}`;
/** Slashes separate the parts of ids, so none may stand inside one. */
export const planIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
export const capabilityPattern = planIdPattern;

/**
 * The first workflow task of 10,000 tasks takes 5 to 7 s on two busy cores: with Temporal's 10 s a slower machine would
 * begin it anew without end. Small plans keep these: so long a plan waits when a worker died in the middle of a task.
 */
export const workflowTaskTimeoutOf = (taskCount: number): '10 seconds' | '60 seconds' =>
  taskCount > 2000 ? '60 seconds' : '10 seconds';

/** Memo of a plan's workflow, at most 2 KiB: what lists show without asking the workflow. */
export interface PlanMemo {
  readonly title: string;
  readonly contentDigest: string;
  readonly taskCount: number;
}
/** Search attributes (all Keyword but the last two: Bool, KeywordList). */
export const searchAttributes = {
  kind: 'AatsKind',
  planId: 'AatsPlanId',
  planName: 'AatsPlanName',
  status: 'AatsStatus',
  owner: 'AatsOwner',
  waitingForPerson: 'AatsWaitingForPerson',
  waitingFor: 'AatsWaitingFor',
} as const;
/** Results up to this many bytes of JSON travel inline, larger ones as artifacts. */
export const inlineLimitBytes = 4096;
/** Resolved arguments of one task. */
export const argumentsLimitBytes = 65536;
/** A plan's own result. */
export const resultLimitBytes = 262144;
export const artifactLimitBytes = 256 * 1024 * 1024;
export const reportBatchLimits = { reports: 500, bytes: 256 * 1024 } as const;
