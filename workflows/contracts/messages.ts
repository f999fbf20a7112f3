import type { Json, JsonObject, JsonSchema } from './json';
import type { TaskFailure } from './task-failure';

/** CloudEvents 1.0 types that AATS speaks; data shapes below, JSON Schemas in activities/buses/schemas. */
export const eventTypes = {
  taskDispatched: 'ai.aats.task.dispatched.v1',
  taskReported: 'ai.aats.task.reported.v1',
  planChanged: 'ai.aats.plan.changed.v1',
  agentRegistered: 'ai.aats.agent.registered.v1',
  agentHeartbeat: 'ai.aats.agent.heartbeat.v1',
  /** Of an agent: it takes nothing new. To an agent: it is to take nothing new. */
  agentDraining: 'ai.aats.agent.draining.v1',
  taskCancelled: 'ai.aats.task.cancelled.v1',
  messageRefused: 'ai.aats.message.refused.v1',
} as const;

/** One attempt for an agent: event id `<planId>/<taskId>/<attempt>`, key and subject the plan id. */
export interface TaskDispatch {
  readonly planId: string;
  readonly taskId: string;
  /** Only grows, over retries, RetryTask and compensation: the fence against stale reports. */
  readonly attempt: number;
  readonly capability: string;
  readonly title: string;
  readonly arguments: JsonObject;
  /** Name to path in the agent's own secret store. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly outputSchema?: JsonSchema;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly compensating?: boolean;
  /** Of a task with a gate before it: the outcome under which it is sent; without an approved one it is not. */
  readonly approval?: {
    readonly approvalId: string;
    readonly digest: string;
    readonly status: 'open' | 'approved';
    readonly decidedBy?: string;
  };
  /** Person or service on whose behalf. */
  readonly owner: string;
}

/** What an agent (or the coordinator, for `lost`) says of one attempt. */
export type TaskReport = {
  readonly planId: string;
  readonly taskId: string;
  readonly attempt: number;
  /** Agent id. */
  readonly agent: string;
  /** RFC 3339, the agent's clock; the engine uses its own for deadlines. */
  readonly at: string;
} & (
  | {
      readonly kind: 'started';
      /** Sign of life every so many ms: the coordinator's lease. */ readonly heartbeatMs: number;
    }
  | { readonly kind: 'progress'; readonly message?: string; readonly percent?: number } // never reaches a workflow
  | { readonly kind: 'succeeded'; readonly output: Json }
  | { readonly kind: 'failed'; readonly failure: TaskFailure; readonly retryable: boolean }
  | { readonly kind: 'lost' }
);

/** Agents that have only the bus register and heartbeat by these. */
export interface AgentRegistration {
  /** `[a-z0-9][a-z0-9-]{0,62}`, unique for a running process. */
  readonly agentId: string;
  /** Anew for each process: one that was told to drain stays so, however often it registers. */
  readonly instance?: string;
  readonly transport: Transport;
  readonly capacity: number;
  readonly capabilities: readonly {
    readonly name: string;
    readonly description?: string;
    readonly input?: JsonSchema;
    readonly output?: JsonSchema;
  }[];
}
export interface AgentHeartbeat {
  readonly agentId: string;
  readonly running: readonly {
    readonly planId: string;
    readonly taskId: string;
    readonly attempt: number;
    readonly heartbeatMs: number;
  }[];
}
export type Transport = 'kafka' | 'rabbitmq';

export const topics = {
  tasks: (capability: string): string => `agent.tasks.${capability}`,
  status: (capability: string): string => `agent.status.${capability}`,
  plans: 'system.events.plans',
  agents: 'system.events.agents',
  deadLetters: 'system.events.dead-letters',
} as const;
/** Consumer groups on Kafka: the agents of a capability share its tasks. */
export const groups = { agents: (capability: string): string => `agents.${capability}` } as const;
export const exchanges = {
  direct: 'agent.direct',
  topic: 'agent.topic',
  fanout: 'agent.fanout',
  dead: 'agent.dead',
} as const;
export const queues = {
  tasks: (capability: string): string => `agent.tasks.${capability}`,
  unserved: 'agent.tasks',
  responses: 'agent.responses',
  notifications: 'system.notifications',
  deadLetters: 'agent.dead-letters',
} as const;
