import type { PlanDefinition, TaskDefinition } from '../../workflows/contracts/plan-definition';

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
