import { randomUUID } from 'node:crypto';
import type { Kafka } from 'kafkajs';
import { MessageRefused, readEvent } from '../../activities/buses/cloud-event';
import { readTopics, type TopicBatch } from '../../activities/buses/kafka-reader';
import { within } from '../../activities/within';
import { topics, type TaskReport } from '../../workflows/contracts/messages';
import type { ChangeSet } from '../../workflows/contracts/plan';
import type { Logger } from '../runtime/logger';
import { createKeptChanges } from './kept-changes';

export type FeedEvent =
  | { readonly kind: 'change'; readonly change: ChangeSet }
  | { readonly kind: 'progress'; readonly report: TaskReport & { readonly kind: 'progress' } }
  /** The topic was not read for a moment, or is read for the first time: changes may have been missed. */
  | { readonly kind: 'gap' }
  /** The topic is not being read: nothing will be heard until it is. */
  | { readonly kind: 'unread' };
export interface PlanFeed {
  /** Calls back for each change of the plan from now on; gives the function that ends it. */
  subscribe(planId: string, listener: (event: FeedEvent) => void): () => void;
  /** Changes after a cursor, when all of them are still kept here; undefined otherwise, and when the plan ended there. */
  since(planId: string, cursor: number): readonly ChangeSet[] | undefined;
  /** Whether changes arrive; false once Kafka has been silent for 6 s. */
  isRead(): boolean;
  /** Rejects while the topic is not being read, and before it was for the first time. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** As long as Kafka itself waits for a sign of life of a reader. */
const silentAfterMs = 6000;
const lookEveryMs = 500;
const forgetWithinMs = 2000;

/**
 * Reads the topic of plan changes once for this process and all its viewers, whoever they are: watching costs a plan
 * nothing. Each process is a group of its own and begins at the end of the topic. A broker that is away, now or later, is
 * waited for; whoever watches hears that the topic is not read, and of the gap when it is again.
 */
export function startPlanFeed(kafka: Kafka, logger: Logger): PlanFeed {
  const listeners = new Map<string, Set<(event: FeedEvent) => void>>();
  const kept = createKeptChanges();
  const groupId = `project-manager.${randomUUID()}`;

  const tellAll = (event: FeedEvent): void => {
    for (const ofPlan of listeners.values()) for (const listener of ofPlan) listener(event);
  };
  const take = async ({ messages, commit }: TopicBatch): Promise<void> => {
    for (const { value } of messages) {
      const event = read(value, logger);
      if (!event || (event.kind === 'change' && !kept.keep(event.change))) continue;
      for (const listener of listeners.get(planOf(event)) ?? []) listener(event);
    }
    const last = messages.at(-1);
    if (last) await commit(last);
  };
  let hasBegun = false;
  const reader = readTopics(
    kafka,
    {
      groupId,
      topics: [topics.plans],
      from: 'end',
      log: (message, details) => {
        logger.warn(details, message);
      },
      onJoined: () => {
        hasBegun = true;
        kept.clear();
        tellAll({ kind: 'gap' });
      },
    },
    take,
  );
  const isRead = (): boolean => reader.silentMs() < silentAfterMs;
  const look = setInterval(() => {
    if (!isRead()) tellAll({ kind: 'unread' });
  }, lookEveryMs);
  return {
    subscribe(planId, listener) {
      const known = listeners.get(planId) ?? new Set();
      listeners.set(planId, known.add(listener));
      return () => {
        known.delete(listener);
        if (known.size === 0) listeners.delete(planId);
      };
    },
    since: (planId, cursor) => kept.since(planId, cursor),
    isRead,
    ping: async () => {
      if (!hasBegun || !isRead())
        return Promise.reject(
          new Error(`${topics.plans} has not been read for ${Math.round(reader.silentMs() / 1000)} s`),
        );
    },
    async close() {
      clearInterval(look);
      await reader.close();
      await within(forgetWithinMs, forget(kafka, groupId), 'Kafka does not answer').catch(() => undefined); // it expires by itself
    },
  };
}

/** A group that nobody will join again. */
async function forget(kafka: Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin({ retry: { retries: 0 } });
  try {
    await admin.connect();
    await admin.deleteGroups([groupId]);
  } finally {
    await admin.disconnect();
  }
}

type PlanEvent = Extract<FeedEvent, { readonly kind: 'change' | 'progress' }>;
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
