import type { ClientBase } from 'pg';
import { createKafka, kafkaConfig } from '../activities/buses/kafka';
import { createRabbitMq, rabbitmqConfig } from '../activities/buses/rabbitmq';
import { loadConfig, temporalConfig } from '../services/runtime/config';
import { roles } from './postgres';
import type { StackContext } from './server';
import { allServers } from './servers';
import { prepareNamespace } from './temporal';
import { provisionedExchanges, provisionedQueues, provisionedTopics, retentionMs } from './topics';

type Environment = Readonly<Record<string, string>>;

/**
 * Makes what AATS needs on servers of the user's own, as the user that its variables name: roles that grants refer to,
 * the namespace with its search attributes, topics, exchanges and queues. Idempotent. Who may connect, and how, stays
 * the user's.
 */
export async function prepareGivenServers(ctx: StackContext, admin: Environment, client: ClientBase): Promise<void> {
  const isGiven = (name: string): boolean =>
    allServers.some((one) => one.name === name && one.replacedBy !== undefined && process.env[one.replacedBy]);
  if (isGiven('postgres')) await prepareRoles(client);
  if (isGiven('temporal')) {
    const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE } = loadConfig(temporalConfig, admin);
    await prepareNamespace(ctx, TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE);
  }
  if (isGiven('kafka')) await prepareTopics(admin);
  if (isGiven('rabbitmq')) await prepareQueues(admin);
}

async function prepareRoles(client: ClientBase): Promise<void> {
  for (const role of roles) {
    const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
    if (rowCount === 0) await client.query(`create role ${role} nologin`); // role names are ours
  }
}

async function prepareTopics(env: Environment): Promise<void> {
  const admin = createKafka(loadConfig(kafkaConfig, env), 'aats-stack').admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    await admin.createTopics({
      waitForLeaders: true,
      topics: provisionedTopics.map(({ topic, partitions }) => ({
        topic,
        numPartitions: partitions,
        replicationFactor: Math.min(3, brokers.length),
        configEntries: [{ name: 'retention.ms', value: String(retentionMs) }],
      })),
    });
  } finally {
    await admin.disconnect();
  }
}

async function prepareQueues(env: Environment): Promise<void> {
  const rabbitmq = createRabbitMq(loadConfig(rabbitmqConfig, env));
  try {
    const channel = await rabbitmq.publisher();
    for (const { name, type, arguments: args } of provisionedExchanges)
      await channel.assertExchange(name, type, { durable: true, arguments: args });
    for (const { name, arguments: args, bindings } of provisionedQueues) {
      await channel.assertQueue(name, { durable: true, arguments: args });
      for (const { exchange, key } of bindings) await channel.bindQueue(name, exchange, key);
    }
  } finally {
    await rabbitmq.close();
  }
}
