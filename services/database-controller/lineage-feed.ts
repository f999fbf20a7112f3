import { KafkaJSError, type Consumer } from 'kafkajs';
import { z } from 'zod';
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
export async function runLineageFeed(consumer: Consumer, lineage: Lineage, logger: Logger): Promise<void> {
  await consumer.connect();
  await consumer.subscribe({ topic: topics.plans, fromBeginning: true });
  await consumer.run({
    eachBatchAutoResolve: false,
    eachBatch: async (payload) => {
      const { batch } = payload;
      for (let from = 0; from < batch.messages.length; from += batchSize) {
        if (!payload.isRunning() || payload.isStale()) return;
        const messages = batch.messages.slice(from, from + batchSize);
        const changes = messages.flatMap(({ value, offset }) => {
          const change = parseChange(value);
          if (!change) logger.warn({ partition: batch.partition, offset }, 'not a change of a plan; passed over');
          return change ? [change] : [];
        });
        if (changes.length > 0) await lineage.record(changes).catch(tryAgain);
        for (const { offset } of messages) payload.resolveOffset(offset);
        await payload.commitOffsetsIfNecessary();
        await payload.heartbeat();
      }
    },
  });
}

/** kafkajs ends a consumer for good over an error that says it is not worth another try; here every one is. */
function tryAgain(error: unknown): never {
  throw new KafkaJSError(error instanceof Error ? error : String(error), { retriable: true });
}

export function parseChange(value: Buffer | null): ChangeSet | undefined {
  try {
    const event = changeEvent.parse(JSON.parse(value?.toString('utf8') ?? ''));
    return event.data as unknown as ChangeSet;
  } catch {
    return undefined;
  }
}
