import type { Admin, Kafka, Producer } from 'kafkajs';
import { acknowledgedByAll } from '../../activities/buses/kafka';
import { publishConfirmed, type RabbitMq } from '../../activities/buses/rabbitmq';
import { within } from '../../activities/within';
import { contentType, MessageRefused, readEvent } from '../../activities/buses/cloud-event';
import { failure } from '../../workflows/contracts/failures';
import { exchanges, groups, queues, topics, type Transport } from '../../workflows/contracts/messages';
import type { Logger } from '../runtime/logger';

const partitions = 8;
const retentionMs = 7 * 24 * 3600 * 1000; // specification, Kafka Configuration
/** Less than the callers' own deadlines, so that they learn which bus is away. */
const answersWithinMs = 4000;

export interface Served {
  /** How tasks of a capability travel now; of one that nobody has offered yet nothing is said. */
  readonly transports: ReadonlyMap<string, Transport>;
  /** Capabilities that have a queue, though they may be served over Kafka now. */
  readonly queued: readonly string[];
}
export interface Topology {
  /** Makes the topics or the queue of a capability; idempotent, and remembered. Throws BusUnavailable. */
  ensure(capability: string, transport: Transport): Promise<void>;
  /** Tasks published but not begun, by capability, also of those that nobody has offered yet. */
  queueLengths(served: Served): Promise<ReadonlyMap<string, number>>;
  /** Moves tasks that wait on a bus over which nobody takes them any more; to be called again and again. */
  moveStranded(served: Served): Promise<void>;
  close(): Promise<void>;
}

interface Mover {
  readonly to: Transport;
  stop(): Promise<unknown>;
}

export function createTopology(options: {
  readonly kafka: Kafka;
  readonly admin: Admin;
  readonly producer: Producer;
  readonly rabbitmq: RabbitMq;
  readonly replication: number;
  readonly logger: Logger;
}): Topology {
  const { kafka, admin, producer, rabbitmq, replication, logger } = options;
  const made = new Set<string>();
  const movers = new Map<string, Mover>();

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
  /** Tasks on the topic of a capability that its agents have not begun. */
  const lagOf = async (capability: string): Promise<number> => {
    const topic = topics.tasks(capability);
    const [ends, [group]] = await Promise.all([
      admin.fetchTopicOffsets(topic),
      admin.fetchOffsets({ groupId: groups.agents(capability), topics: [topic] }),
    ]);
    const taken = new Map(group?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
    return ends.reduce(
      (sum, { partition, offset, low }) =>
        sum + Math.max(0, Number(offset) - Math.max(taken.get(partition) ?? 0, Number(low))),
      0,
    );
  };
  /** As one of the capability's agents, so that it begins where those that were there have stopped. */
  const moveToQueue = async (capability: string): Promise<Mover> => {
    const consumer = kafka.consumer({
      groupId: groups.agents(capability),
      retry: { retries: Number.MAX_SAFE_INTEGER },
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [topics.tasks(capability)], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message: { value } }) => {
        const event = taskOf(value, logger);
        if (!event || !value) return;
        const channel = await rabbitmq.publisher();
        await publishConfirmed(channel, exchanges.direct, queues.tasks(capability), value, {
          messageId: event.id,
          contentType,
          type: event.type,
        });
        logger.info({ id: event.id, planId: event.data.planId }, 'moved to RabbitMQ');
      },
    });
    return { to: 'rabbitmq', stop: () => consumer.disconnect() };
  };
  const moveToTopic = (capability: string): Mover => ({
    to: 'kafka',
    stop: rabbitmq.consume(async (channel) => {
      await channel.prefetch(100);
      await channel.consume(queues.tasks(capability), (message) => {
        if (!message) return;
        const event = taskOf(message.content, logger);
        const sent = event
          ? producer.send({
              topic: topics.tasks(capability),
              acks: acknowledgedByAll,
              messages: [{ key: event.id, value: message.content }],
            })
          : Promise.resolve();
        sent
          .then(
            () => {
              channel.ack(message);
              if (event) logger.info({ id: event.id, planId: event.data.planId }, 'moved to Kafka');
            },
            () => {
              channel.nack(message);
            },
          )
          .catch(() => undefined); // the channel closed meanwhile: the broker sends it again
      });
    }),
  });
  const moveOne = async (capability: string, to: Transport, strands: () => Promise<number>): Promise<void> => {
    const mover = movers.get(capability);
    const isNeeded = (await strands()) > 0;
    if (mover?.to === to && isNeeded) return;
    if (mover) {
      movers.delete(capability);
      await mover.stop();
    }
    if (isNeeded) movers.set(capability, to === 'kafka' ? moveToTopic(capability) : await moveToQueue(capability));
  };

  return {
    async ensure(capability, transport) {
      if (made.has(`${transport} ${capability}`)) return;
      await (transport === 'kafka'
        ? answered('Kafka', makeTopics([topics.tasks(capability), topics.status(capability)]))
        : answered('RabbitMQ', makeQueue(capability)));
      made.add(`${transport} ${capability}`);
    },
    async queueLengths({ transports, queued }) {
      // The client never forgets a topic that it was asked about: one that is not there would spoil every later answer.
      const existing = await answered('Kafka', admin.listTopics());
      const onTopic = existing.flatMap((topic) => (topic.startsWith(topics.tasks('')) ? [capabilityOf(topic)] : []));
      const lengths = await Promise.all(
        [...new Set([...transports.keys(), ...onTopic])].map(async (capability): Promise<[string, number]> => {
          const parts = await Promise.all([
            onTopic.includes(capability) ? lagOf(capability) : 0,
            queued.includes(capability) ? rabbitmq.messageCount(queues.tasks(capability)) : 0,
          ]);
          return [capability, parts[0] + parts[1]];
        }),
      );
      return new Map(lengths);
    },
    async moveStranded({ transports, queued }) {
      const existing = new Set(await answered('Kafka', admin.listTopics()));
      for (const [capability, transport] of transports) {
        if (transport === 'rabbitmq' && existing.has(topics.tasks(capability)))
          await moveOne(capability, 'rabbitmq', () => lagOf(capability));
        if (transport === 'kafka' && queued.includes(capability))
          await moveOne(capability, 'kafka', () => rabbitmq.messageCount(queues.tasks(capability)));
      }
    },
    async close() {
      await Promise.all([...movers.values()].map((mover) => mover.stop()));
    },
  };
}

const capabilityOf = (topic: string): string => topic.slice(topics.tasks('').length);

/** Undefined for what is no task: nobody can do it, and it must not stand in the way of the others. */
function taskOf(value: Buffer | null, logger: Logger) {
  try {
    return readEvent(value, ['taskDispatched']);
  } catch (error) {
    if (!(error instanceof MessageRefused)) throw error;
    logger.warn({ err: error }, 'a message that is no task was left out');
    return undefined;
  }
}

/** The clients try for a minute and more; whoever asks here does not wait for that. Throws BusUnavailable. */
async function answered<T>(bus: string, work: Promise<T>): Promise<T> {
  try {
    return await within(answersWithinMs, work, `${bus} does not answer`);
  } catch (error) {
    throw failure('BusUnavailable', `${bus} does not answer; try again`, {
      ...(error instanceof Error && { cause: error }),
    });
  }
}
