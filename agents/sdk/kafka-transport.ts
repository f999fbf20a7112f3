import type { Consumer } from 'kafkajs';
import { cloudEvent, readEvent } from '../../activities/buses/cloud-event';
import { acknowledgedByAll, createKafka, createProducer, type KafkaConfig } from '../../activities/buses/kafka';
import type { Logger } from '../../services/runtime/logger';
import { topics } from '../../workflows/contracts/messages';
import type { AgentTransport } from './transport';

/** Kafka: one consumer group a capability, so that its agents share the tasks. */
export async function kafkaTransport(
  config: KafkaConfig,
  agentId: string,
  capabilities: readonly string[],
  logger: Logger,
): Promise<AgentTransport> {
  const kafka = createKafka(config, agentId, (message, details) => {
    logger.debug(details, message);
  });
  const producer = createProducer(kafka);
  await producer.connect();
  const consumers: Consumer[] = [];
  return {
    async start(take) {
      for (const capability of capabilities) {
        const consumer = kafka.consumer({
          groupId: `agents.${capability}`,
          sessionTimeout: 10_000,
          heartbeatInterval: 2000,
          maxWaitTimeInMs: 20,
          retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 3000 },
        });
        consumers.push(consumer);
        await consumer.connect();
        await consumer.subscribe({ topics: [topics.tasks(capability)], fromBeginning: true });
        await consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: 8,
          eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, isRunning, isStale }) => {
            // Waiting for a free slot may last longer than a session.
            const alive = setInterval(() => void heartbeat().catch(() => undefined), 2000);
            let begun: Promise<void>[] = [];
            const settle = async (offset: string): Promise<void> => {
              await Promise.all(begun);
              begun = [];
              resolveOffset(offset);
              await commitOffsetsIfNecessary({
                topics: [
                  {
                    topic: batch.topic,
                    partitions: [{ partition: batch.partition, offset: String(BigInt(offset) + 1n) }],
                  },
                ],
              });
            };
            try {
              for (const [at, message] of batch.messages.entries()) {
                if (!isRunning() || isStale()) return;
                try {
                  const event = readEvent(message.value, ['taskDispatched']);
                  begun.push(
                    take({
                      task: event.data,
                      ...(event.traceparent !== undefined && { traceparent: event.traceparent }),
                    }),
                  );
                } catch (error) {
                  logger.warn(
                    { err: error, topic: batch.topic, offset: message.offset },
                    'a message that is no task was left out',
                  );
                }
                if (begun.length >= 50 || at === batch.messages.length - 1) await settle(message.offset);
              }
            } finally {
              clearInterval(alive);
            }
          },
        });
      }
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
    stopTaking: async () => void (await Promise.all(consumers.map((consumer) => consumer.disconnect()))),
    close: () => producer.disconnect(),
  };
}
