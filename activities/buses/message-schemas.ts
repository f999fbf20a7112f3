import type { JsonSchema } from '../../workflows/contracts/json';
import type { Json } from '../../workflows/contracts/json';
import { type SchemaProblem, validateValue } from '../../workflows/json-schema';
import type { eventTypes } from '../../workflows/contracts/messages';

const planId = { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,62}$' };
const taskId = { type: 'string', pattern: '^[a-z][A-Za-z0-9]{0,62}([.][0-9]{1,5})?$' };
const name = { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,62}$' };
const attempt = { type: 'integer', minimum: 1 };
const attemptRef = {
  type: 'object',
  required: ['planId', 'taskId', 'attempt'],
  properties: { planId, taskId, attempt },
};
const failure = {
  type: 'object',
  required: ['type', 'message'],
  properties: {
    type: { type: 'string', pattern: '^[A-Z][A-Za-z0-9]{0,62}$' },
    message: { type: 'string', maxLength: 10_000 },
  },
};
const report = { planId, taskId, attempt, agent: name, at: { type: 'string', maxLength: 40 } };
const common = ['planId', 'taskId', 'attempt', 'agent', 'at', 'kind'];

export type EventName = keyof typeof eventTypes;

/** JSON Schemas (2020-12) of what goes over the buses, by event; the same one checks at both ends and stands in the registry. */
export const messageSchemas: Readonly<Record<EventName, JsonSchema>> = {
  taskDispatched: {
    type: 'object',
    required: ['planId', 'taskId', 'attempt', 'capability', 'title', 'arguments', 'timeoutMs', 'heartbeatMs', 'owner'],
    properties: {
      planId,
      taskId,
      attempt,
      capability: name,
      title: { type: 'string' },
      arguments: { type: 'object' },
      secrets: { type: 'object', additionalProperties: { type: 'string' } },
      outputSchema: { type: 'object' },
      timeoutMs: { type: 'integer', minimum: 1 },
      heartbeatMs: { type: 'integer', minimum: 1 },
      compensating: { type: 'boolean' },
      owner: { type: 'string' },
    },
  },
  taskReported: {
    oneOf: [
      {
        type: 'object',
        required: [...common, 'heartbeatMs'],
        properties: {
          ...report,
          kind: { const: 'started' },
          heartbeatMs: { type: 'integer', minimum: 100, maximum: 600_000 },
        },
      },
      {
        type: 'object',
        required: common,
        properties: {
          ...report,
          kind: { const: 'progress' },
          message: { type: 'string', maxLength: 2000 },
          percent: { type: 'number', minimum: 0, maximum: 100 },
        },
      },
      {
        type: 'object',
        required: [...common, 'output'],
        properties: { ...report, kind: { const: 'succeeded' }, output: true },
      },
      {
        type: 'object',
        required: [...common, 'failure', 'retryable'],
        properties: { ...report, kind: { const: 'failed' }, failure, retryable: { type: 'boolean' } },
      },
    ],
  },
  planChanged: {
    type: 'object',
    required: ['planId', 'cursor', 'at', 'tasks', 'attempts'],
    properties: {
      planId,
      cursor: { type: 'integer', minimum: 0 },
      at: { type: 'string' },
      tasks: { type: 'array', items: { type: 'object' } },
      attempts: { type: 'array', items: { type: 'object' } },
      plan: { type: 'object' },
    },
  },
  agentRegistered: {
    type: 'object',
    required: ['agentId', 'transport', 'capacity', 'capabilities'],
    properties: {
      agentId: name,
      instance: { type: 'string', maxLength: 100 },
      transport: { enum: ['kafka', 'rabbitmq'] },
      capacity: { type: 'integer', minimum: 1, maximum: 10_000 },
      capabilities: {
        type: 'array',
        minItems: 1,
        maxItems: 100,
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name,
            description: { type: 'string', maxLength: 2000 },
            input: { type: 'object' },
            output: { type: 'object' },
          },
        },
      },
    },
  },
  agentHeartbeat: {
    type: 'object',
    required: ['agentId', 'running'],
    properties: {
      agentId: name,
      running: {
        type: 'array',
        maxItems: 10_000,
        items: {
          ...attemptRef,
          required: [...attemptRef.required, 'heartbeatMs'],
          properties: { ...attemptRef.properties, heartbeatMs: { type: 'integer', minimum: 100, maximum: 600_000 } },
        },
      },
    },
  },
  agentDraining: { type: 'object', required: ['agentId'], properties: { agentId: name } },
  taskCancelled: {
    type: 'object',
    required: ['attempts'],
    properties: { attempts: { type: 'array', items: attemptRef } },
  },
  messageRefused: {
    type: 'object',
    required: ['from', 'reason', 'body'],
    properties: { from: { type: 'string' }, reason: { type: 'string' }, body: { type: 'string' } },
  },
};

/** Problems of an event's data; none when it fits. */
export const validateMessage = (event: EventName, data: unknown): readonly SchemaProblem[] =>
  data === undefined
    ? [{ pointer: '', message: 'there is no data' }]
    : validateValue(schemaOf(event, data), data as Json);

/** Of several forms the one that the data says it has: what is wrong there tells more than that none fits. */
function schemaOf(event: EventName, data: unknown): JsonSchema {
  const kind = typeof data === 'object' && data !== null && 'kind' in data ? data.kind : undefined;
  const forms = messageSchemas[event]['oneOf'] as readonly Form[] | undefined;
  return forms?.find(({ properties }) => properties.kind.const === kind) ?? messageSchemas[event];
}
type Form = JsonSchema & { readonly properties: { readonly kind: { readonly const: string } } };
