import type { ProjectManager } from '../../proto/aats/project/v1/project_pb';
import type { PlanStore } from '../../activities/stores/plan-store';
import { failure } from '../../workflows/contracts/failures';
import type { JsonObject } from '../../workflows/contracts/json';
import { planIdPattern } from '../../workflows/contracts/plan';
import { digestOf } from '../../workflows/digest';
import { analysePlan } from '../../workflows/plan-analysis';
import { checkInputs } from '../../workflows/plan-inputs';
import type { Problem } from '../../workflows/plan-problems';
import type { Caller } from '../runtime/identity';
import type { Handlers } from '../runtime/grpc';
import { attemptToProto, planToProto, problemToProto, taskToProto, toStruct, toValue } from './mapping';
import type { PlanFeed } from './plan-feed';
import { sizeProblems, type Surroundings, takeInPlan } from './plan-intake';
import type { Plans } from './plans';
import { watchPlan } from './watch';

export interface ProjectManagerOptions {
  readonly plans: Plans;
  readonly feed: PlanFeed;
  readonly definitions: PlanStore;
  /** What is known of agents and people now; never rejects. */
  readonly surroundings: () => Promise<Surroundings>;
  /** Aborted when the process ends: whoever watches is sent elsewhere at once. */
  readonly draining: AbortSignal;
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
const isOfAll = ({ code, pointer }: Problem): boolean => code === 'TOO_LARGE' && pointer === '';
const nameOf = (caller: Caller): string => (caller.kind === 'person' ? caller.person.name : caller.name);

export function createProjectManagerHandlers({
  plans,
  feed,
  definitions,
  surroundings,
  draining,
}: ProjectManagerOptions): Handlers<typeof ProjectManager> {
  return {
    async validatePlan({ plan: source, inputs }, { caller }) {
      const { problems, plan, value } = takeInPlan(source, nameOf(caller), await surroundings());
      if (!plan) return { valid: false, problems: problems.map(problemToProto) };
      const ofInputs = inputs ? [...checkInputs(plan, inputs).problems, ...sizeProblems(value, inputs)] : [];
      const all = [...problems, ...ofInputs];
      const { layers, criticalPath, gates } = analysePlan(plan);
      return {
        valid: !all.some(({ severity }) => severity === 'error'),
        problems: all.map(problemToProto),
        layers: layers.map((taskIds) => ({ taskIds: [...taskIds] })),
        criticalPath: [...criticalPath],
        gates: gates.map(({ taskId, title, at, by }) => ({ taskId, title, at, by: [...by] })),
        name: plan.name,
        taskCount: plan.tasks.length,
      };
    },
    async startPlan({ planId, plan: source, inputs: given = {} }, { caller }) {
      const ofId = planIdPattern.test(planId)
        ? []
        : [{ pointer: '/planId', message: 'must be lower-case letters, digits and hyphens, at most 63' }];
      const owner = nameOf(caller);
      const { problems, plan, value } = takeInPlan(source, owner, await surroundings());
      const tooLarge = plan ? sizeProblems(value, given) : problems.filter(isOfAll);
      if (tooLarge.length > 0) throw failure('TooLarge', 'the plan is too large', { details: tooLarge });
      const errors = problems.filter(({ severity }) => severity === 'error');
      if (!plan)
        throw failure('PlanInvalid', `the plan has ${counted(errors.length, 'problem')}`, {
          details: [...ofId, ...problems],
        });
      const { problems: ofInputs, inputs } = checkInputs(plan, given);
      const wrong = [...ofId, ...ofInputs];
      if (wrong.length > 0)
        throw failure('InvalidInput', `${counted(wrong.length, 'problem')} with the request`, { details: wrong });
      const startedAt = new Date().toISOString();
      const contentDigest = digestOf({ plan, inputs } as unknown as JsonObject);
      const { header, created } = await plans.start({ planId, plan, inputs, owner, startedAt, contentDigest });
      // After the start, so that only what was really started is on record; a repeated start makes up for a lost one.
      await definitions.keep({
        planId,
        name: plan.name,
        contentDigest,
        source: value,
        inputs,
        owner: header.owner,
        startedAt: header.startedAt,
      });
      return { plan: planToProto(header), created, warnings: problems.map(problemToProto) };
    },
    async getPlan({ planId, taskOffset, taskLimit }) {
      const below = Object.entries({ taskOffset, taskLimit }).filter(([, number]) => number < 0);
      const details = below.map(([field]) => ({ pointer: `/${field}`, message: 'must not be negative' }));
      if (details.length > 0) throw failure('InvalidInput', 'the page of tasks is wrong', { details });
      const plan = await plans.header(planId);
      const limit = taskLimit > 0 ? Math.min(taskLimit, 20_000) : 20_000;
      return {
        plan: planToProto(plan),
        tasks: (await plans.tasks(planId, taskOffset, limit)).map(taskToProto),
      };
    },
    async getTask({ planId, taskId }) {
      const task = await plans.task(planId, taskId);
      return {
        task: taskToProto(task),
        ...(task.arguments && { arguments: toStruct(task.arguments) }),
        ...(task.output !== undefined && { output: toValue(task.output) }),
        attempts: task.attempts.map(attemptToProto),
      };
    },
    async listPlans({ states, owner, name, waitingForPerson, pageSize, pageToken }) {
      const page = await plans.list({ states, owner, name, waitingForPerson }, pageSize, pageToken);
      return { plans: page.plans.map(planToProto), nextPageToken: page.nextPageToken };
    },
    watchPlan: ({ planId, cursor }, { signal }) =>
      watchPlan({ plans, feed, draining }, planId, cursor === undefined ? undefined : Number(cursor), signal),
    pausePlan: async ({ planId, reason }, { caller }) => ({
      plan: planToProto(await plans.command(planId, 'pause', commandOf(caller, reason))),
    }),
    resumePlan: async ({ planId, reason }, { caller }) => ({
      plan: planToProto(await plans.command(planId, 'resume', commandOf(caller, reason))),
    }),
    cancelPlan: async ({ planId, reason }, { caller }) => ({
      plan: planToProto(await plans.command(planId, 'cancel', commandOf(caller, reason))),
    }),
    retryTask: async ({ planId, taskId, reason }, { caller }) => ({
      plan: planToProto(await plans.retry(planId, { ...commandOf(caller, reason), taskId })),
    }),
  };
}

const commandOf = (caller: Caller, reason: string) => ({
  by: nameOf(caller),
  ...(reason !== '' && { reason: reason.slice(0, 1000) }),
});
