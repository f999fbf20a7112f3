import type { Consumer, EachBatchPayload, Kafka, KafkaMessage, TopicPartitionOffset } from 'kafkajs';
import type { KafkaLog } from './kafka';

/** Messages of one partition, in order. */
export interface TopicBatch {
  readonly topic: string;
  readonly messages: readonly KafkaMessage[];
  /**
   * Aborted when the group shares out its partitions anew or the reader closes: stop soon, commit what was done, and
   * leave the rest, which comes again here or elsewhere.
   */
  readonly ended: AbortSignal;
  /** Everything up to this message is done; resolves once Kafka has that. Ends the batch when it is another's by now. */
  commit(message: KafkaMessage): Promise<void>;
}
export interface TopicReader {
  /** Lets batches under way end, then leaves the group. */
  close(): Promise<void>;
}

/** The shortest that brokers allow by default. */
const sessionMs = 6000;
const beatMs = 1000;
const startAgainMs = 1000;
/**
 * How long a broker keeps a request that it has nothing for; what arrives meanwhile is answered at once, so this delays
 * only leaving a group. Shorter costs every idle reader and the broker: 20 ms are 50 requests a second.
 */
export const idleFetchMs = 500;
const gatherMs = 2;

/**
 * Reads topics as one group, from their beginning, until closed; resolves once the first session runs. At least once:
 * what `take` has not committed comes again. A broker that goes away is waited for, and where kafkajs gives up for good
 * (it takes some errors for hopeless, a refused login among them), a new session begins.
 */
export async function readTopics(
  kafka: Kafka,
  options: { readonly groupId: string; readonly topics: readonly string[]; readonly log: KafkaLog },
  take: (batch: TopicBatch) => Promise<void>,
): Promise<TopicReader> {
  const { groupId, topics, log } = options;
  const underWay = new Set<AbortController>();
  let consumer: Consumer | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const begin = async (): Promise<void> => {
    const made = kafka.consumer({
      groupId,
      sessionTimeout: sessionMs,
      heartbeatInterval: beatMs,
      maxWaitTimeInMs: idleFetchMs,
      retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 3000 },
    });
    consumer = made;
    made.on(made.events.CRASH, ({ payload }) => {
      if (payload.restart) return;
      log('reading ended, begun again', { groupId, error: payload.error.message });
      beginLater();
    });
    await made.connect();
    await made.subscribe({ topics: [...topics], fromBeginning: true });
    await made.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 8,
      eachBatch: (payload) => takeOne(payload),
    });
  };
  const beginLater = (): void => {
    if (isClosed) return;
    timer = setTimeout(() => {
      begin().catch((error: unknown) => {
        log('reading could not begin', { groupId, error: error instanceof Error ? error.message : String(error) });
        beginLater();
      });
    }, startAgainMs);
  };
  const committer = createCommitter((offsets) => consumer?.commitOffsets(offsets) ?? Promise.resolve());
  const takeOne = async ({ batch, heartbeat, isRunning, isStale, resolveOffset }: EachBatchPayload): Promise<void> => {
    const ended = new AbortController();
    underWay.add(ended);
    // A batch may wait for longer than a session lasts. A beat that is refused says that the group is being shared out.
    const alive = setInterval(() => {
      if (!isRunning() || isStale()) ended.abort();
      heartbeat().catch(() => {
        ended.abort();
      });
    }, beatMs / 2);
    if (isClosed) ended.abort();
    try {
      await take({
        topic: batch.topic,
        messages: batch.messages,
        ended: ended.signal,
        async commit({ offset }) {
          if (!isRunning() || isStale()) ended.abort();
          else {
            await committer.commit({
              topic: batch.topic,
              partition: batch.partition,
              offset: String(BigInt(offset) + 1n),
            });
            resolveOffset(offset);
          }
        },
      });
    } finally {
      clearInterval(alive);
      underWay.delete(ended);
    }
  };
  await begin();
  return {
    async close() {
      isClosed = true;
      clearTimeout(timer);
      for (const ended of underWay) ended.abort();
      await consumer?.disconnect();
    },
  };
}

/** Partitions that are done at about the same time are committed with one call. */
function createCommitter(commitOffsets: (offsets: TopicPartitionOffset[]) => Promise<void>) {
  let pending: TopicPartitionOffset[] = [];
  let next: Promise<void> | undefined;
  return {
    commit(offset: TopicPartitionOffset): Promise<void> {
      pending.push(offset);
      next ??= new Promise((resolve) => setTimeout(resolve, gatherMs)).then(() => {
        const offsets = pending;
        [pending, next] = [[], undefined];
        return commitOffsets(offsets);
      });
      return next;
    },
  };
}
