import type { Admin, Kafka } from 'kafkajs';
import type { KafkaLog } from '../../activities/buses/kafka';
import { readTopics, type TopicBatch, type TopicReader } from '../../activities/buses/kafka-reader';
import { within } from '../../activities/within';
import type { Logger } from '../runtime/logger';
import type { Message } from './report-intake';

const statusTopic = /^agent\.status\./;
const takenTogether = 500;
/** A change under way is let end, unless the broker is away. */
const changesWithinMs = 2000;

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
  let reader: TopicReader | undefined;
  let subscribed: readonly string[] = [];
  let changing: Promise<void> = Promise.resolve();
  let closed = false;

  const takeBatch = async ({ topic, messages, ended, commit }: TopicBatch): Promise<void> => {
    for (let at = 0; at < messages.length && !ended.aborted; at += takenTogether) {
      const part = messages.slice(at, at + takenTogether);
      await take(part.map(({ value }) => ({ value, from: topic })));
      const last = part.at(-1);
      if (last) await commit(last);
    }
  };
  const read = async (topics: readonly string[]): Promise<void> => {
    await reader?.close();
    reader = undefined;
    if (topics.length === 0 || closed) return;
    const log: KafkaLog = (message, details) => {
      logger.warn(details, message);
    };
    reader = readTopics(kafka, { groupId: 'coordinator', topics, log }, takeBatch);
  };
  return {
    /** Looks for new topics and reads them too; cheap when there are none. */
    refresh(): Promise<void> {
      changing = changing
        .then(async () => {
          const topics = (await admin.listTopics()).filter((topic) => statusTopic.test(topic)).sort();
          if (topics.join() === subscribed.join()) return;
          logger.info({ topics: topics.length }, 'reading reports');
          await read(topics);
          subscribed = topics;
        })
        .catch((error: unknown) => {
          logger.warn({ err: error }, 'topics of reports could not be read; tried again');
        });
      return changing;
    },
    async close(): Promise<void> {
      closed = true;
      await within(changesWithinMs, changing, 'Kafka does not answer').catch(() => undefined);
      await reader?.close();
    },
  };
}
