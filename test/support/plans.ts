import type { PlanDefinition, TaskDefinition } from '../../workflows/contracts/plan-definition';
import { advance } from '../../workflows/plan-progress';
import { createRun } from '../../workflows/plan-start';
import type { PlanRun } from '../../workflows/plan-state';

const retry = {
  maxAttempts: 3,
  initialIntervalMs: 1000,
  backoffCoefficient: 2,
  maxIntervalMs: 60_000,
  nonRetryable: [],
};

/** A task with the language's defaults written out. */
export const task = (id: string, more: Partial<TaskDefinition> = {}): TaskDefinition => ({
  id,
  title: id,
  capability: 'echo',
  with: {},
  needs: [],
  after: [],
  timeoutMs: 600_000,
  heartbeatMs: 30_000,
  retry,
  onFailure: 'fail',
  secrets: {},
  ...more,
});

export const plan = (tasks: readonly TaskDefinition[], more: Partial<PlanDefinition> = {}): PlanDefinition => ({
  name: 'test',
  title: 'Test',
  labels: {},
  inputs: {},
  tasks,
  result: null,
  ...more,
});

export const compensation = (capability: string): NonNullable<TaskDefinition['compensation']> => ({
  capability,
  with: {},
  timeoutMs: 60_000,
  heartbeatMs: 20_000,
  retry,
  secrets: {},
});

export const approval = (
  more: Partial<NonNullable<TaskDefinition['approval']>> = {},
): NonNullable<TaskDefinition['approval']> => ({
  at: 'before',
  show: [],
  by: ['group:maintainers'],
  expiresInMs: 3 * 86_400_000,
  onExpiry: 'reject',
  editable: [],
  fourEyes: true,
  reasonRequired: false,
  ...more,
});

/** A retry policy that never tries again. */
export const once = {
  maxAttempts: 1,
  initialIntervalMs: 1,
  backoffCoefficient: 1,
  maxIntervalMs: 1,
  nonRetryable: [],
};
/** What a plan is started with, as plan `p` of Jonas. */
export const input = (definition: PlanDefinition, inputs = {}) => ({
  planId: 'p',
  plan: definition,
  inputs,
  owner: 'jonas',
  startedAt: 0,
});
/** Its run, with what is ready at once on its way. */
export const begin = (definition: PlanDefinition, inputs = {}): PlanRun => {
  const run = createRun(input(definition, inputs));
  advance(run, 0);
  return run;
};
