import type { Consumer, EachBatchPayload, Kafka, KafkaMessage, TopicPartitionOffset } from 'kafkajs';
import { within } from '../within';
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
  /** Resolves once the group was joined for the first time; never rejects. */
  readonly joined: Promise<void>;
  /** For how long Kafka has not confirmed that this reader is of its group, from the start on, in ms. */
  silentMs(): number;
  /** Lets batches under way end, then leaves the group; takes some seconds at most, also when the broker is away. */
  close(): Promise<void>;
}
export interface ReadOptions {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly log: KafkaLog;
  /** Where a group begins that has not committed anything yet: by default at the beginning. */
  readonly from?: 'beginning' | 'end';
  /** The group was joined, for the first time or anew: what was published from now on will be read. */
  readonly onJoined?: () => void;
}

/** The shortest that brokers allow by default. */
const sessionMs = 6000;
const beatMs = 1000;
const startAgainMs = 1000;
/** How often kafkajs tries again within a session. Endless tries would go to a coordinator that has moved; a new session looks for it. */
const sessionRetry = { retries: 4, maxRetryTime: 3000, restartOnFailure: () => Promise.resolve(false) };
/**
 * How long a broker keeps a request that it has nothing for; what arrives meanwhile is answered at once, so this delays
 * only leaving a group. Shorter costs every idle reader and the broker: 20 ms are 50 requests a second.
 */
const idleFetchMs = 500;
const gatherMs = 2;
/** A session that is being begun is let begin before it is ended, unless the broker is away. */
const beginsWithinMs = 2000;
const leavesWithinMs = 5000;

/**
 * Reads topics as one group until closed. At least once: what `take` has not committed comes again. A broker that is
 * away, now or later, is waited for: wherever kafkajs gives up (a lost connection, a refused login), a new session begins.
 */
export function readTopics(
  kafka: Kafka,
  options: ReadOptions,
  take: (batch: TopicBatch) => Promise<void>,
): TopicReader {
  const { groupId, topics, log, from = 'beginning', onJoined } = options;
  const underWay = new Set<AbortController>();
  let consumer: Consumer | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let heardAt = Date.now();
  let hasJoined: () => void = () => undefined;
  const joined = new Promise<void>((resolve) => {
    hasJoined = resolve;
  });

  const begin = async (): Promise<void> => {
    const made = kafka.consumer({
      groupId,
      sessionTimeout: sessionMs,
      heartbeatInterval: beatMs,
      maxWaitTimeInMs: idleFetchMs,
      retry: sessionRetry,
    });
    consumer = made;
    let isNew = false;
    made.on(made.events.GROUP_JOIN, () => {
      isNew = true;
      hasJoined();
    });
    // A beat follows a read that was answered: only then are the places in the topics known.
    made.on(made.events.HEARTBEAT, () => {
      heardAt = Date.now();
      if (isNew) onJoined?.();
      isNew = false;
    });
    made.on(made.events.CRASH, ({ payload: { error } }) => {
      log('reading ended, begun again', { groupId, error: error.message });
      beginLater();
    });
    try {
      await made.connect();
      await made.subscribe({ topics: [...topics], fromBeginning: from === 'beginning' });
      if (!isClosed)
        await made.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: 8,
          eachBatch: (payload) => takeOne(payload),
        });
    } catch (error) {
      log('reading could not begin', { groupId, error: error instanceof Error ? error.message : String(error) });
      await made.disconnect().catch(() => undefined);
      beginLater();
    }
    if (isClosed) await made.disconnect().catch(() => undefined);
  };
  const beginLater = (): void => {
    if (isClosed) return;
    timer = setTimeout(() => {
      beginning = begin();
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
  let beginning = begin();
  return {
    joined,
    silentMs: () => Date.now() - heardAt,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      for (const ended of underWay) ended.abort();
      await within(beginsWithinMs, beginning, 'Kafka does not answer').catch(() => undefined);
      // A broker that does not answer forgets this reader by itself.
      if (consumer) await within(leavesWithinMs, consumer.disconnect(), 'Kafka does not answer').catch(() => undefined);
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
