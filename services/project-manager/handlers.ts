import type { ProjectManager } from '../../proto/aats/project/v1/project_pb';
import type { PlanStore } from '../../activities/stores/plan-store';
import { failure } from '../../workflows/contracts/failures';
import type { JsonObject } from '../../workflows/contracts/json';
import { planIdPattern } from '../../workflows/contracts/plan';
import { digestOf } from '../../workflows/digest';
import { analysePlan } from '../../workflows/plan-analysis';
import { checkInputs } from '../../workflows/plan-inputs';
import type { Caller } from '../runtime/identity';
import type { Handlers } from '../runtime/grpc';
import { planToProto, problemToProto, taskToProto, toStruct, toValue } from './mapping';
import type { PlanFeed } from './plan-feed';
import { type Surroundings, takeInPlan } from './plan-intake';
import type { Plans } from './plans';
import { watchPlan } from './watch';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';

export interface ProjectManagerOptions {
  readonly plans: Plans;
  readonly feed: PlanFeed;
  readonly definitions: PlanStore;
  /** What is known of agents and people now; never rejects. */
  readonly surroundings: () => Promise<Surroundings>;
}

const planBytes = 1024 * 1024;
const nameOf = (caller: Caller): string => (caller.kind === 'person' ? caller.person.name : caller.name);

export function createProjectManagerHandlers({
  plans,
  feed,
  definitions,
  surroundings,
}: ProjectManagerOptions): Handlers<typeof ProjectManager> {
  return {
    async validatePlan({ plan: source, inputs }, { caller }) {
      const { problems, plan } = takeInPlan(source, nameOf(caller), await surroundings());
      if (!plan) return { valid: false, problems: problems.map(problemToProto) };
      const checked = inputs ? checkInputs(plan, inputs) : undefined;
      const all = [...problems, ...(checked?.problems ?? [])];
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
    async startPlan({ planId, plan: source, inputs: given }, { caller }) {
      if (!planIdPattern.test(planId))
        throw failure('InvalidInput', 'the plan id is wrong', {
          details: [{ pointer: '/planId', message: 'must be lower-case letters, digits and hyphens, at most 63' }],
        });
      const { problems, plan, value } = takeInPlan(source, nameOf(caller), await surroundings());
      const errors = problems.filter(({ severity }) => severity === 'error');
      if (!plan)
        throw failure('PlanInvalid', `the plan has ${errors.length} ${errors.length === 1 ? 'problem' : 'problems'}`, {
          details: problems,
        });
      const { problems: wrong, inputs } = checkInputs(plan, (given ?? {}));
      if (wrong.length > 0)
        throw failure('InvalidInput', `${wrong.length} ${wrong.length === 1 ? 'input is' : 'inputs are'} wrong`, {
          details: wrong,
        });
      if (JSON.stringify(plan).length + JSON.stringify(inputs).length > planBytes)
        throw failure('TooLarge', `plan and inputs have more than ${planBytes} bytes as JSON`);
      const owner = nameOf(caller);
      const startedAt = new Date().toISOString();
      const contentDigest = digestOf({ plan: plan as never, inputs });
      await definitions.keep({ planId, name: plan.name, contentDigest, source: value, inputs, owner, startedAt });
      const { header, created } = await plans.start({ planId, plan, inputs, owner, startedAt, contentDigest });
      return { plan: planToProto(header), created, warnings: problems.map(problemToProto) };
    },
    async getPlan({ planId, taskOffset, taskLimit }) {
      const plan = await plans.header(planId);
      const limit = taskLimit > 0 ? Math.min(taskLimit, 20_000) : 20_000;
      return {
        plan: planToProto(plan),
        tasks: (await plans.tasks(planId, Math.max(0, taskOffset), limit)).map(taskToProto),
      };
    },
    async getTask({ planId, taskId }) {
      const task = await plans.task(planId, taskId);
      const at = (iso: string | undefined) => (iso === undefined ? undefined : timestampFromDate(new Date(iso)));
      return {
        task: taskToProto(task),
        ...(task.arguments && { arguments: toStruct(task.arguments) }),
        ...(task.output !== undefined && { output: toValue(task.output) }),
        attempts: task.attempts.map(({ attempt, state, agent, dispatchedAt, startedAt, endedAt, failure: failed }) => ({
          attempt,
          state,
          ...(agent !== undefined && { agent }),
          ...(dispatchedAt !== undefined && { dispatchedAt: at(dispatchedAt) as never }),
          ...(startedAt !== undefined && { startedAt: at(startedAt) as never }),
          ...(endedAt !== undefined && { endedAt: at(endedAt) as never }),
          ...(failed && { failure: { ...failed } }),
        })),
      };
    },
    async listPlans({ states, owner, name, waitingForPerson, pageSize, pageToken }) {
      const page = await plans.list({ states, owner, name, waitingForPerson }, pageSize, pageToken);
      return { plans: page.plans.map(planToProto), nextPageToken: page.nextPageToken };
    },
    watchPlan: ({ planId, cursor }, { signal }) =>
      watchPlan(plans, feed, planId, cursor === undefined ? undefined : Number(cursor), signal),
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
