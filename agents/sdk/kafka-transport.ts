import type { KafkaMessage } from 'kafkajs';
import { cloudEvent, readEvent } from '../../activities/buses/cloud-event';
import { acknowledgedByAll, createKafka, createProducer, type KafkaConfig } from '../../activities/buses/kafka';
import { readTopics, type TopicBatch, type TopicReader } from '../../activities/buses/kafka-reader';
import type { Logger } from '../../services/runtime/logger';
import { groups, topics } from '../../workflows/contracts/messages';
import type { AgentTransport, Delivery, Intake } from './transport';

/** Tasks whose begin is confirmed and committed together. */
const beginTogether = 50;

/** Kafka: one consumer group a capability, so that its agents share the tasks. */
export async function kafkaTransport(
  config: KafkaConfig,
  agentId: string,
  capabilities: readonly string[],
  logger: Logger,
): Promise<AgentTransport> {
  const log = (message: string, details: object): void => {
    logger.debug(details, message);
  };
  const kafka = createKafka(config, agentId, log);
  const producer = createProducer(kafka);
  await producer.connect();
  let readers: readonly TopicReader[] = [];
  return {
    async start(intake) {
      readers = capabilities.map((capability) =>
        readTopics(kafka, { groupId: groups.agents(capability), topics: [topics.tasks(capability)], log }, (batch) =>
          takeTasks(batch, intake, logger),
        ),
      );
      await Promise.all(readers.map(({ joined }) => joined));
    },
    async report(reports) {
      const byTopic = new Map<string, { key: string; value: string }[]>();
      for (const { capability, report, traceparent } of reports) {
        const event = cloudEvent('taskReported', {
          source: `aats/agent/${agentId}`,
          subject: report.planId,
          ...(traceparent !== undefined && { traceparent }),
          data: report,
        });
        const topic = topics.status(capability);
        byTopic.set(topic, [...(byTopic.get(topic) ?? []), { key: report.planId, value: JSON.stringify(event) }]);
      }
      await producer.sendBatch({
        acks: acknowledgedByAll,
        topicMessages: [...byTopic].map(([topic, messages]) => ({ topic, messages })),
      });
    },
    stopTaking: async () => void (await Promise.all(readers.map((reader) => reader.close()))),
    close: () => producer.disconnect(),
  };
}

/**
 * Begins the tasks of a partition in order, as far as slots are free, and commits those that have begun before it waits
 * for the next slot: an agent that dies then takes none of them with it, and none is begun by two.
 */
export async function takeTasks(batch: TopicBatch, { slots, begin }: Intake, logger: Logger): Promise<void> {
  let begun: Promise<void>[] = [];
  let last: KafkaMessage | undefined;
  const settle = async (): Promise<void> => {
    await Promise.all(begun.splice(0));
    begun = [];
    if (last) await batch.commit(last);
    last = undefined;
  };
  for (const message of batch.messages) {
    const delivery = read(message, batch.topic, logger);
    if (delivery) {
      let slot = slots.now();
      if (!slot) {
        await settle();
        slot = await slots.next(batch.ended);
      }
      if (!slot || batch.ended.aborted) {
        slot?.free();
        break;
      }
      begun.push(begin(delivery, slot));
    }
    last = message;
    if (begun.length >= beginTogether) await settle();
  }
  await settle();
}

/** Undefined for a message that is no task: nobody can do it, and it must not stand in the way of the others. */
function read(message: KafkaMessage, topic: string, logger: Logger): Delivery | undefined {
  try {
    const { data, time, traceparent } = readEvent(message.value, ['taskDispatched']);
    return { task: data, sentAt: Date.parse(time), ...(traceparent !== undefined && { traceparent }) };
  } catch (error) {
    logger.warn({ err: error, topic, offset: message.offset }, 'a message that is no task was left out');
    return undefined;
  }
}
