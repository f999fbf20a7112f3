import { randomUUID } from 'node:crypto';
import type { Consumer, Kafka } from 'kafkajs';
import { MessageRefused, readEvent } from '../../activities/buses/cloud-event';
import { topics, type TaskReport } from '../../workflows/contracts/messages';
import type { ChangeSet } from '../../workflows/contracts/plan';
import type { Logger } from '../runtime/logger';

export type FeedEvent =
  | { readonly kind: 'change'; readonly change: ChangeSet }
  | { readonly kind: 'progress'; readonly report: TaskReport & { readonly kind: 'progress' } };
export interface PlanFeed {
  /** Calls back for each change of the plan from now on; gives the function that ends it. */
  subscribe(planId: string, listener: (event: FeedEvent) => void): () => void;
  /** Changes after a cursor, when all of them are still kept here; undefined otherwise. */
  since(planId: string, cursor: number): readonly ChangeSet[] | undefined;
  close(): Promise<void>;
}

const keptPlans = 500;
const keptChanges = 200;

/**
 * Reads the topic of plan changes once for this process and all its viewers, whoever they are: watching costs a plan
 * nothing. Each process is a group of its own and begins at the end of the topic.
 */
export async function startPlanFeed(kafka: Kafka, logger: Logger): Promise<PlanFeed> {
  const listeners = new Map<string, Set<(event: FeedEvent) => void>>();
  const rings = new Map<string, ChangeSet[]>();
  const groupId = `project-manager.${randomUUID()}`;
  const consumer: Consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: 20,
    sessionTimeout: 10_000,
    retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 3000 },
  });

  const keep = (change: ChangeSet): boolean => {
    const ring = rings.get(change.planId) ?? [];
    if (change.cursor <= (ring.at(-1)?.cursor ?? 0)) return false; // sent twice
    ring.push(change);
    if (ring.length > keptChanges) ring.shift();
    rings.delete(change.planId);
    rings.set(change.planId, ring); // the plan heard of last is forgotten last
    if (rings.size > keptPlans) rings.delete(rings.keys().next().value ?? '');
    return true;
  };
  await consumer.connect();
  await consumer.subscribe({ topics: [topics.plans], fromBeginning: false });
  await consumer.run({
    eachMessage: ({ message }) => {
      try {
        const event = readEvent(message.value, ['planChanged', 'taskReported']);
        const feed: FeedEvent | undefined =
          event.name === 'planChanged'
            ? keep(event.data)
              ? { kind: 'change', change: event.data }
              : undefined
            : event.data.kind === 'progress'
              ? { kind: 'progress', report: event.data }
              : undefined;
        if (feed) for (const listener of listeners.get(event.data.planId) ?? []) listener(feed);
      } catch (error) {
        if (!(error instanceof MessageRefused)) throw error;
        logger.warn({ err: error }, 'a message on the topic of changes is none');
      }
      return Promise.resolve();
    },
  });
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
      if (!ring || ring[0] === undefined || ring[0].cursor > cursor + 1) return undefined;
      return ring.filter((change) => change.cursor > cursor);
    },
    async close() {
      await consumer.disconnect();
      const admin = kafka.admin();
      await admin.connect();
      await admin.deleteGroups([groupId]).catch(() => undefined); // it expires by itself
      await admin.disconnect();
    },
  };
}
