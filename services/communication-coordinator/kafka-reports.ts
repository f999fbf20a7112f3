import type { Admin, Consumer, Kafka } from 'kafkajs';
import type { Logger } from '../runtime/logger';
import type { Message } from './report-intake';

const statusTopic = /^agent\.status\./;

/**
 * Reads the reports of all capabilities as one group; offsets are committed only after `take` has resolved. kafkajs
 * resolves a pattern only when it subscribes, so a topic that appears makes it stop, subscribe and run again.
 */
export function createKafkaReports(
  kafka: Kafka,
  admin: Admin,
  take: (messages: readonly Message[]) => Promise<void>,
  logger: Logger,
) {
  let consumer: Consumer | undefined;
  let subscribed: readonly string[] = [];
  let changing: Promise<void> = Promise.resolve();
  let closed = false;

  const run = async (topics: readonly string[]): Promise<void> => {
    await consumer?.disconnect();
    consumer = undefined;
    if (topics.length === 0 || closed) return;
    const made = kafka.consumer({
      groupId: 'coordinator',
      sessionTimeout: 10_000,
      heartbeatInterval: 2000,
      maxWaitTimeInMs: 20,
      retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 3000 },
    });
    consumer = made;
    await made.connect();
    await made.subscribe({ topics: [...topics], fromBeginning: true });
    await made.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 8,
      eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, isRunning, isStale }) => {
        // Temporal may be away for longer than a session lasts: keep the partition meanwhile.
        const alive = setInterval(() => void heartbeat().catch(() => undefined), 2000);
        try {
          for (let at = 0; at < batch.messages.length && isRunning() && !isStale(); at += 500) {
            const part = batch.messages.slice(at, at + 500);
            await take(part.map(({ value }) => ({ value, from: batch.topic })));
            const last = part.at(-1);
            if (last) resolveOffset(last.offset);
            await commitOffsetsIfNecessary({
              topics: [
                {
                  topic: batch.topic,
                  partitions: [{ partition: batch.partition, offset: String(BigInt(last?.offset ?? '-1') + 1n) }],
                },
              ],
            });
          }
        } finally {
          clearInterval(alive);
        }
      },
    });
  };
  return {
    /** Looks for new topics and reads them too; cheap when there are none. */
    refresh(): Promise<void> {
      changing = changing
        .then(async () => {
          const topics = (await admin.listTopics()).filter((topic) => statusTopic.test(topic)).sort();
          if (topics.join() === subscribed.join()) return;
          logger.info({ topics: topics.length }, 'reading reports');
          await run(topics);
          subscribed = topics;
        })
        .catch((error: unknown) => {
          logger.warn({ err: error }, 'topics of reports could not be read; tried again');
        });
      return changing;
    },
    async close(): Promise<void> {
      closed = true;
      await changing;
      await consumer?.disconnect();
    },
  };
}
