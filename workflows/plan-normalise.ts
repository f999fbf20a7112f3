import type { Json, JsonObject, JsonSchema } from './contracts/json';
import type {
  ApprovalDefinition,
  CompensationDefinition,
  PlanDefinition,
  RetryPolicy,
  TaskDefinition,
} from './contracts/plan-definition';
import { durationMs, isArray, isObject } from './plan-values';

const text = (value: Json | undefined, otherwise: string): string => (typeof value === 'string' ? value : otherwise);
const number = (value: Json | undefined, otherwise: number): number => (typeof value === 'number' ? value : otherwise);
const object = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});
const strings = (value: Json | undefined): readonly string[] => (isArray(value) ? value.map(String) : []);
const ms = (value: Json | undefined, otherwise: string): number => durationMs(text(value, otherwise));

/** A sound plan with every default written out. Call it for plans without errors only. */
export function normalisePlan(plan: JsonObject): PlanDefinition {
  const name = text(plan['name'], '');
  return {
    name,
    title: text(plan['title'], name),
    ...(typeof plan['description'] === 'string' && { description: plan['description'] }),
    labels: object(plan['labels']) as Readonly<Record<string, string>>,
    inputs: object(plan['inputs']) as Readonly<Record<string, JsonSchema>>,
    tasks: (isArray(plan['tasks']) ? plan['tasks'] : []).map((task) => normaliseTask(object(task))),
    result: plan['result'] ?? null,
    ...(typeof plan['deadline'] === 'string' && { deadlineMs: durationMs(plan['deadline']) }),
    ...(typeof plan['maxParallel'] === 'number' && { maxParallel: plan['maxParallel'] }),
  };
}

function normaliseTask(task: JsonObject): TaskDefinition {
  const id = text(task['id'], '');
  const timeoutMs = ms(task['timeout'], '10m');
  const forEach = task['forEach'];
  return {
    id,
    title: text(task['title'], id),
    capability: text(task['capability'], ''),
    with: object(task['with']),
    needs: strings(task['needs']),
    after: strings(task['after']),
    ...(typeof task['when'] === 'string' && { when: task['when'] }),
    ...(isObject(forEach) && {
      forEach: {
        in: text(forEach['in'], ''),
        ...(typeof forEach['maxParallel'] === 'number' && { maxParallel: forEach['maxParallel'] }),
        maxItems: number(forEach['maxItems'], 1000),
        maxFailurePercent: number(forEach['maxFailurePercent'], 0),
      },
    }),
    ...(isObject(task['output']) && { output: task['output'] }),
    timeoutMs,
    heartbeatMs: heartbeatOf(task, timeoutMs),
    ...(typeof task['deadline'] === 'string' && { deadlineMs: durationMs(task['deadline']) }),
    retry: normaliseRetry(object(task['retry'])),
    onFailure: task['onFailure'] === 'continue' ? 'continue' : 'fail',
    ...(isObject(task['compensation']) && { compensation: normaliseCompensation(task['compensation']) }),
    secrets: object(task['secrets']) as Readonly<Record<string, string>>,
    ...(isObject(task['approval']) && { approval: normaliseApproval(task['approval']) }),
  };
}

/** 30 s, or a third of a shorter timeout. */
const heartbeatOf = (task: JsonObject, timeoutMs: number): number =>
  typeof task['heartbeat'] === 'string'
    ? durationMs(task['heartbeat'])
    : Math.max(300, Math.min(30_000, Math.floor(timeoutMs / 3)));

function normaliseRetry(retry: JsonObject): RetryPolicy {
  const initialIntervalMs = ms(retry['initialInterval'], '1s');
  return {
    maxAttempts: number(retry['maxAttempts'], 3),
    initialIntervalMs,
    backoffCoefficient: number(retry['backoffCoefficient'], 2),
    // Who asks for a longer wait than the default allows means it.
    maxIntervalMs: ms(retry['maxInterval'], `${Math.max(60_000, initialIntervalMs)}ms`),
    nonRetryable: strings(retry['nonRetryable']),
  };
}

function normaliseCompensation(compensation: JsonObject): CompensationDefinition {
  const timeoutMs = ms(compensation['timeout'], '10m');
  return {
    capability: text(compensation['capability'], ''),
    with: object(compensation['with']),
    timeoutMs,
    heartbeatMs: heartbeatOf(compensation, timeoutMs),
    retry: normaliseRetry(object(compensation['retry'])),
    secrets: object(compensation['secrets']) as Readonly<Record<string, string>>,
  };
}

const normaliseApproval = (approval: JsonObject): ApprovalDefinition => ({
  at: approval['at'] === 'after' ? 'after' : 'before',
  ...(typeof approval['title'] === 'string' && { title: approval['title'] }),
  ...(typeof approval['message'] === 'string' && { message: approval['message'] }),
  show: (isArray(approval['show']) ? approval['show'] : []).map((one) => ({
    title: text(object(one)['title'], ''),
    value: object(one)['value'] ?? null,
  })),
  by: strings(approval['by']),
  expiresInMs: ms(approval['expiresIn'], '3d'),
  onExpiry: approval['onExpiry'] === 'pause' ? 'pause' : 'reject',
  editable: (isArray(approval['editable']) ? approval['editable'] : []).map((one) => ({
    path: text(object(one)['path'], ''),
    schema: object(object(one)['schema']),
  })),
  fourEyes: approval['fourEyes'] !== false,
  reasonRequired: approval['reasonRequired'] === true,
});
