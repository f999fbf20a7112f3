import type { Kafka } from 'kafkajs';
import { z } from 'zod';
import type { KafkaLog } from '../../activities/buses/kafka';
import { readTopics, type TopicReader } from '../../activities/buses/kafka-reader';
import type { Lineage } from '../../activities/stores/lineage';
import { eventTypes, topics } from '../../workflows/contracts/messages';
import type { ChangeSet } from '../../workflows/contracts/plan';
import type { Logger } from '../runtime/logger';

/** What lineage reads of a change; the rest passes through unread. */
const changeEvent = z.looseObject({
  type: z.literal(eventTypes.planChanged),
  data: z.looseObject({
    planId: z.string(),
    cursor: z.number().int(),
    tasks: z.array(
      z.looseObject({ id: z.string(), attempt: z.number().int(), state: z.string(), needs: z.array(z.string()) }),
    ),
    attempts: z.array(z.looseObject({ taskId: z.string(), attempt: z.number().int(), state: z.string() })),
  }),
});

/** Change sets of one write: few enough for a short transaction. */
const batchSize = 100;

/**
 * Keeps the graph up with the topic of plan changes, from its beginning when the group is new. Offsets are committed
 * after the write, so a crash repeats changes, which the graph does not mind; while Neo4j is away nothing is
 * committed and nothing is lost. What is no change of a plan is logged and passed over: it never becomes one.
 */
export function readLineage(kafka: Kafka, lineage: Lineage, logger: Logger): TopicReader {
  const log: KafkaLog = (message, details) => {
    logger.warn(details, message);
  };
  return readTopics(kafka, { groupId: 'lineage', topics: [topics.plans], log }, async ({ messages, ended, commit }) => {
    for (let from = 0; from < messages.length && !ended.aborted; from += batchSize) {
      const part = messages.slice(from, from + batchSize);
      const changes = part.flatMap(({ value, offset }) => {
        const change = parseChange(value);
        if (!change) logger.warn({ offset }, 'not a change of a plan; passed over');
        return change ? [change] : [];
      });
      if (changes.length > 0) await lineage.record(changes);
      const last = part.at(-1);
      if (last) await commit(last);
    }
  });
}

export function parseChange(value: Buffer | null): ChangeSet | undefined {
  try {
    const event = changeEvent.parse(JSON.parse(value?.toString('utf8') ?? ''));
    return event.data as unknown as ChangeSet;
  } catch {
    return undefined;
  }
}
