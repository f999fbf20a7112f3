/**
 * `<data>/run/stack.json`, mode 0600: what runs where, and the environment of each process.
 * It names files that hold secrets, never their values.
 */
export interface StackFile {
  readonly version: 1;
  readonly dataDir: string;
  readonly portOffset: number;
  /** Addresses for people, by name. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Environment variables of each process identity; a process gets exactly its own. */
  readonly identities: Readonly<Record<Identity, Readonly<Record<string, string>>>>;
}

/** Who connects: one set of credentials each, with the least that it needs. */
export const identities = [
  'project-manager', // Temporal; PostgreSQL aats_plans; Kafka: read system.events.plans; service certificate
  'database-controller', // PostgreSQL aats_health; MongoDB artifacts; Neo4j; Redis ping; Kafka: read system.events.plans
  'communication-coordinator', // Temporal; Redis; Kafka: agent.* topics, dead letters; RabbitMQ: agent queues
  'hitl', // PostgreSQL aats_signin; Redis sign-in keys; service certificate
  'worker-plans', // Temporal queues plans and bus; Kafka and RabbitMQ publish only
  'worker-data', // Temporal queue data; MongoDB artifacts
  'agent', // Kafka: read agent.tasks.*, write agent.status.*; RabbitMQ alike; agent certificate
  'cli', // addresses and the CA, no credential
  'admin', // everything: provisioning and tests
] as const;
export type Identity = (typeof identities)[number];
