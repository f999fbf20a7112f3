import { exchanges, queues, topics } from '../workflows/contracts/messages';
import type { Identity } from './stack-file';

/** Specification, Kafka Configuration: retention 7 days. */
export const retentionMs = 7 * 24 * 3600 * 1000;

/** Topics that exist from the start; `agent.tasks.*` and `agent.status.*` are made by the coordinator as agents register. */
export const provisionedTopics: readonly { readonly topic: string; readonly partitions: number }[] = [
  { topic: topics.plans, partitions: 8 },
  { topic: topics.agents, partitions: 1 },
  { topic: topics.deadLetters, partitions: 1 },
];

type Operation = 'READ' | 'WRITE' | 'CREATE' | 'DESCRIBE' | 'DELETE' | 'ALL';
export interface TopicRule {
  readonly identity: Identity;
  readonly resource: 'TOPIC' | 'GROUP' | 'CLUSTER';
  readonly name: string;
  readonly prefixed: boolean;
  readonly operations: readonly Operation[];
}
const rule = (
  identity: Identity,
  resource: TopicRule['resource'],
  name: string,
  ...operations: Operation[]
): TopicRule => ({
  identity,
  resource,
  name: name.replace(/\*$/, ''),
  prefixed: name.endsWith('*'),
  operations,
});

/** Least privilege on Kafka: who may do what, and nothing else (StandardAuthorizer, deny by default). */
export const topicRules: readonly TopicRule[] = [
  rule('project-manager', 'TOPIC', topics.plans, 'READ', 'DESCRIBE'),
  rule('project-manager', 'GROUP', 'project-manager.*', 'READ', 'DELETE'),
  rule('database-controller', 'TOPIC', topics.plans, 'READ', 'DESCRIBE'),
  rule('database-controller', 'GROUP', 'lineage', 'READ'),
  rule('communication-coordinator', 'TOPIC', 'agent.*', 'READ', 'WRITE', 'CREATE', 'DESCRIBE'),
  rule('communication-coordinator', 'TOPIC', 'system.events.*', 'READ', 'WRITE', 'DESCRIBE'),
  rule('communication-coordinator', 'GROUP', 'coordinator*', 'READ'),
  // To see how far agents are, and to take over what waits for those of a capability that left the bus.
  rule('communication-coordinator', 'GROUP', 'agents.*', 'READ'),
  rule('worker-plans', 'TOPIC', 'agent.tasks.*', 'WRITE', 'DESCRIBE'),
  rule('worker-plans', 'TOPIC', topics.plans, 'WRITE', 'DESCRIBE'),
  rule('agent', 'TOPIC', 'agent.tasks.*', 'READ', 'DESCRIBE'),
  rule('agent', 'TOPIC', 'agent.status.*', 'WRITE', 'DESCRIBE'),
  rule('agent', 'GROUP', 'agents.*', 'READ'),
];

/** Who connects to RabbitMQ, with the regular expressions of what it may configure, write and read. */
export const busUsers: readonly {
  readonly identity: Identity;
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}[] = [
  {
    identity: 'communication-coordinator',
    configure: '^agent\\..*',
    write: '^(agent|system)\\..*',
    read: '^agent\\..*',
  },
  { identity: 'worker-plans', configure: '^$', write: '^agent\\.direct$', read: '^$' },
  {
    identity: 'agent',
    configure: '^agent\\.inbox\\..*',
    write: '^(agent\\.(direct|topic)|agent\\.inbox\\..*)$',
    read: '^(agent\\.tasks\\..*|agent\\.inbox\\..*|agent\\.fanout)$',
  },
];

export const provisionedExchanges = [
  { name: 'agent.unserved', type: 'fanout', arguments: {} },
  { name: exchanges.dead, type: 'fanout', arguments: {} },
  // What no queue takes is parked, not lost.
  { name: exchanges.direct, type: 'direct', arguments: { 'alternate-exchange': 'agent.unserved' } },
  { name: exchanges.topic, type: 'topic', arguments: {} },
  { name: exchanges.fanout, type: 'fanout', arguments: {} },
] as const;

const quorum = { 'x-queue-type': 'quorum', 'x-dead-letter-exchange': exchanges.dead, 'x-delivery-limit': 20 };
export const provisionedQueues: readonly {
  readonly name: string;
  readonly arguments: Readonly<Record<string, string | number>>;
  readonly bindings: readonly { readonly exchange: string; readonly key: string }[];
}[] = [
  {
    name: queues.unserved,
    arguments: { 'x-queue-type': 'quorum' },
    bindings: [{ exchange: 'agent.unserved', key: '' }],
  },
  {
    name: queues.responses,
    arguments: quorum,
    bindings: [
      { exchange: exchanges.direct, key: queues.responses },
      { exchange: exchanges.topic, key: 'responses.#' },
    ],
  },
  {
    name: queues.notifications,
    arguments: { 'x-queue-type': 'quorum', 'x-max-length': 10_000 },
    bindings: [{ exchange: exchanges.direct, key: queues.notifications }],
  },
  {
    name: queues.deadLetters,
    arguments: { 'x-queue-type': 'quorum' },
    bindings: [{ exchange: exchanges.dead, key: '' }],
  },
];
