import type { Admin, Kafka } from 'kafkajs';
import { publishConfirmed, type RabbitMq } from '../../activities/buses/rabbitmq';
import { contentType, readEvent } from '../../activities/buses/cloud-event';
import { exchanges, queues, topics, type Transport } from '../../workflows/contracts/messages';
import type { Logger } from '../runtime/logger';

const partitions = 8;
const retentionMs = 7 * 24 * 3600 * 1000; // specification, Kafka Configuration

export interface Topology {
  /** Makes the topics or the queue of a capability; idempotent, and remembered. */
  ensure(capability: string, transport: Transport): Promise<void>;
  /** Tasks published but not begun, by capability. */
  queueLengths(capabilities: ReadonlyMap<string, Transport>): Promise<ReadonlyMap<string, number>>;
  close(): Promise<void>;
}

export function createTopology(options: {
  readonly kafka: Kafka;
  readonly admin: Admin;
  readonly rabbitmq: RabbitMq;
  readonly replication: number;
  readonly logger: Logger;
}): Topology {
  const { kafka, admin, rabbitmq, replication, logger } = options;
  const made = new Set<string>();
  const forwarders = new Map<string, { disconnect(): Promise<void> }>();

  const makeTopics = async (names: readonly string[]): Promise<void> => {
    const existing = new Set(await admin.listTopics());
    const missing = names.filter((name) => !existing.has(name));
    if (missing.length === 0) return;
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map((topic) => ({
        topic,
        numPartitions: partitions,
        replicationFactor: replication,
        configEntries: [{ name: 'retention.ms', value: String(retentionMs) }],
      })),
    });
  };
  const makeQueue = async (capability: string): Promise<void> => {
    const channel = await rabbitmq.publisher();
    const queue = queues.tasks(capability);
    await channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-dead-letter-exchange': exchanges.dead, 'x-delivery-limit': 20 },
    });
    await channel.bindQueue(queue, exchanges.direct, queue);
  };
  /** Tasks that waited on Kafka before anybody offered the capability, and whose agents turn out to be on RabbitMQ. */
  const forward = async (capability: string): Promise<void> => {
    const topic = topics.tasks(capability);
    if (forwarders.has(topic) || !(await admin.listTopics()).includes(topic)) return;
    const consumer = kafka.consumer({
      groupId: `coordinator.forward.${capability}`,
      retry: { retries: Number.MAX_SAFE_INTEGER },
    });
    forwarders.set(topic, consumer);
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        const event = readEvent(message.value, ['taskDispatched']);
        await publishConfirmed(
          await rabbitmq.publisher(),
          exchanges.direct,
          queues.tasks(capability),
          message.value ?? Buffer.alloc(0),
          { messageId: event.id, contentType, type: event.type },
        );
        logger.info({ id: event.id }, 'forwarded to RabbitMQ');
      },
    });
  };
  return {
    async ensure(capability, transport) {
      if (made.has(`${transport} ${capability}`)) return;
      if (transport === 'kafka') await makeTopics([topics.tasks(capability), topics.status(capability)]);
      else {
        await makeQueue(capability);
        await forward(capability);
      }
      made.add(`${transport} ${capability}`);
    },
    async queueLengths(capabilities) {
      // The client never forgets a topic that it was asked about: one that is not there would spoil every later answer.
      const existing = new Set(await admin.listTopics());
      const lengths = await Promise.all(
        [...capabilities].map(async ([capability, transport]): Promise<[string, number]> => {
          if (transport === 'rabbitmq')
            return [capability, (await (await rabbitmq.publisher()).checkQueue(queues.tasks(capability))).messageCount];
          const topic = topics.tasks(capability);
          if (!existing.has(topic)) return [capability, 0];
          const [ends, [group]] = await Promise.all([
            admin.fetchTopicOffsets(topic),
            admin.fetchOffsets({ groupId: `agents.${capability}`, topics: [topic] }),
          ]);
          const taken = new Map(group?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
          return [
            capability,
            ends.reduce(
              (sum, { partition, offset, low }) =>
                sum + Math.max(0, Number(offset) - Math.max(taken.get(partition) ?? 0, Number(low))),
              0,
            ),
          ];
        }),
      );
      return new Map(lengths);
    },
    async close() {
      await Promise.all([...forwarders.values()].map((consumer) => consumer.disconnect()));
    },
  };
}
