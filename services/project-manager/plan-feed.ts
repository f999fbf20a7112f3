import { randomUUID } from 'node:crypto';
import type { Consumer, Kafka } from 'kafkajs';
import { MessageRefused, readEvent } from '../../activities/buses/cloud-event';
import { idleFetchMs } from '../../activities/buses/kafka-reader';
import { topics, type TaskReport } from '../../workflows/contracts/messages';
import type { ChangeSet } from '../../workflows/contracts/plan';
import type { Logger } from '../runtime/logger';

export type FeedEvent =
  | { readonly kind: 'change'; readonly change: ChangeSet }
  | { readonly kind: 'progress'; readonly report: TaskReport & { readonly kind: 'progress' } }
  /** The topic was not read for a while, or is read for the first time: changes may have been missed. */
  | { readonly kind: 'gap' };
export interface PlanFeed {
  /** Calls back for each change of the plan from now on; gives the function that ends it. */
  subscribe(planId: string, listener: (event: FeedEvent) => void): () => void;
  /** Changes after a cursor, when all of them are still kept here; undefined otherwise. */
  since(planId: string, cursor: number): readonly ChangeSet[] | undefined;
  /** Rejects while the topic is not being read. */
  ping(): Promise<unknown>;
  close(): Promise<void>;
}

const keptPlans = 500;
const keptChanges = 200;
const startAgainMs = 1000;

/**
 * Reads the topic of plan changes once for this process and all its viewers, whoever they are: watching costs a plan
 * nothing. Each process is a group of its own and begins at the end of the topic. A broker that is away, now or later, is
 * waited for; whoever watches hears of the gap.
 */
export function startPlanFeed(kafka: Kafka, logger: Logger): PlanFeed {
  const listeners = new Map<string, Set<(event: FeedEvent) => void>>();
  const rings = new Map<string, ChangeSet[]>();
  const groupId = `project-manager.${randomUUID()}`;
  const consumer: Consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: idleFetchMs,
    sessionTimeout: 10_000,
    // kafkajs would end a consumer for good over what it takes for hopeless.
    retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 3000, restartOnFailure: () => Promise.resolve(true) },
  });

  const keep = (change: ChangeSet): boolean => {
    const known = rings.get(change.planId) ?? [];
    const newest = known.at(-1)?.cursor ?? 0;
    if (change.cursor <= newest) return false; // sent twice
    const ring = change.cursor === newest + 1 ? known : []; // what lies before a gap resumes nobody
    ring.push(change);
    if (ring.length > keptChanges) ring.shift();
    rings.delete(change.planId);
    rings.set(change.planId, ring); // the plan heard of last is forgotten last
    if (rings.size > keptPlans) rings.delete(rings.keys().next().value ?? '');
    return true;
  };
  const admin = kafka.admin();
  let isReading = false;
  let isClosed = false;
  consumer.on(consumer.events.GROUP_JOIN, () => {
    isReading = true;
    rings.clear();
    for (const ofPlan of listeners.values()) for (const listener of ofPlan) listener({ kind: 'gap' });
  });
  for (const event of [consumer.events.CRASH, consumer.events.DISCONNECT])
    consumer.on(event, () => {
      isReading = false;
    });
  const begin = async (): Promise<void> => {
    await admin.connect();
    await consumer.connect();
    await consumer.subscribe({ topics: [topics.plans], fromBeginning: false });
    await consumer.run({
      eachMessage: ({ message }) => {
        const event = read(message.value, logger);
        if (event?.kind === 'change' && !keep(event.change)) return Promise.resolve();
        if (event) for (const listener of listeners.get(planOf(event)) ?? []) listener(event);
        return Promise.resolve();
      },
    });
  };
  const beginAtLast = (): void => {
    if (isClosed) return;
    begin().catch((error: unknown) => {
      logger.warn({ err: error }, 'the changes of plans cannot be read yet; tried again');
      setTimeout(beginAtLast, startAgainMs).unref();
    });
  };
  beginAtLast();
  return {
    subscribe(planId, listener) {
      const known = listeners.get(planId) ?? new Set();
      listeners.set(planId, known.add(listener));
      return () => {
        known.delete(listener);
        if (known.size === 0) listeners.delete(planId);
      };
    },
    since(planId, cursor) {
      const ring = rings.get(planId);
      const [oldest, newest] = [ring?.[0], ring?.at(-1)];
      if (!ring || !oldest || !newest || oldest.cursor > cursor + 1 || newest.cursor < cursor) return undefined;
      return ring.filter((change) => change.cursor > cursor);
    },
    ping: () => (isReading ? admin.listTopics() : Promise.reject(new Error(`${topics.plans} is not being read`))),
    async close() {
      isClosed = true;
      await consumer.disconnect();
      await admin.deleteGroups([groupId]).catch(() => undefined); // it expires by itself
      await admin.disconnect();
    },
  };
}

type PlanEvent = Exclude<FeedEvent, { readonly kind: 'gap' }>;
const planOf = (event: PlanEvent): string => (event.kind === 'change' ? event.change : event.report).planId;

/** Undefined for what is of no interest, and for what is no message of ours, which is logged. */
function read(value: Buffer | null, logger: Logger): PlanEvent | undefined {
  try {
    const event = readEvent(value, ['planChanged', 'taskReported']);
    if (event.name === 'planChanged') return { kind: 'change', change: event.data };
    return event.data.kind === 'progress' ? { kind: 'progress', report: event.data } : undefined;
  } catch (error) {
    if (!(error instanceof MessageRefused)) throw error;
    logger.warn({ err: error }, 'a message on the topic of changes is none');
    return undefined;
  }
}
