import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { WatchPlanResponseSchema } from '../../proto/aats/project/v1/project_pb';
import { failure } from '../../workflows/contracts/failures';
import type { ChangeSet } from '../../workflows/contracts/plan';
import { hasEnded } from './kept-changes';
import { planToProto, taskToProto } from './mapping';
import type { FeedEvent, PlanFeed } from './plan-feed';
import type { Plans } from './plans';

export type WatchEvent = MessageInitShape<typeof WatchPlanResponseSchema>;

/** A reader that has more waiting than this is cut off: it may come again with its cursor. */
const mostWaiting = 2000;
/** Progress is not kept anyway, so it is the first to go when a reader lags. */
const mostWaitingForProgress = 200;

export interface WatchSources {
  readonly plans: Pick<Plans, 'header' | 'tasks'>;
  readonly feed: Pick<PlanFeed, 'subscribe' | 'since' | 'isRead'>;
  readonly draining: AbortSignal;
}

/**
 * A snapshot by one query, then every change as it is published. With a cursor that is still kept, the changes since it
 * and no query at all. A change that the feed missed is made up for by a new snapshot. Ends with the plan. Throws
 * SlowReader when the reader does not keep up, BusUnavailable while the changes are not read (also at the beginning: a
 * reader that came again would else be live time and again and hear nothing), Draining when this process ends.
 */
export async function* watchPlan(
  { plans, feed, draining }: WatchSources,
  planId: string,
  cursor: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  if (!feed.isRead()) throw unread();
  // Subscribed before anything is read, so that no change falls between the snapshot and the feed.
  const queue = createQueue(feed, planId, AbortSignal.any([signal, draining]));
  try {
    let last: number;
    const missed = cursor === undefined ? undefined : feed.since(planId, cursor);
    if (missed && cursor !== undefined) {
      last = cursor;
      for (const change of missed) {
        last = change.cursor;
        yield changeEvent(change);
        if (isOver(change)) return;
      }
    } else {
      const { event, cursor: at, isEnded } = await snapshot(plans, planId);
      last = at;
      yield event;
      if (isEnded) return;
    }
    for (;;) {
      const event = await queue.next();
      if (draining.aborted) throw failure('Draining', 'this service is stopping; watch again from the last cursor');
      if (!event) return;
      if (event.kind === 'unread') throw unread();
      if (event.kind === 'progress') yield progressEvent(event.report);
      else if (event.kind === 'change' && event.change.cursor === last + 1) {
        last = event.change.cursor;
        yield changeEvent(event.change);
        if (isOver(event.change)) return;
      } else if (event.kind === 'gap' || event.change.cursor > last) {
        const { event: whole, cursor: at, isEnded } = await snapshot(plans, planId);
        if (at === last && event.kind === 'gap') continue; // nothing was missed
        last = Math.max(at, event.kind === 'gap' ? 0 : event.change.cursor);
        yield whole;
        if (isEnded) return;
      }
    }
  } finally {
    queue.close();
  }
}

const unread = (): Error =>
  failure('BusUnavailable', 'the changes of plans cannot be read now; watch again from the last cursor');

/** What waits for one reader; bounded, since a reader that stopped must cost nothing but itself. */
function createQueue(feed: WatchSources['feed'], planId: string, over: AbortSignal) {
  const waiting: FeedEvent[] = [];
  let overrun = false;
  let wake: () => void = () => undefined;
  const wakeUp = (): void => {
    wake();
  };
  const unsubscribe = feed.subscribe(planId, (event) => {
    if (event.kind === 'progress' && waiting.length >= mostWaitingForProgress) return;
    if (waiting.length >= mostWaiting) {
      overrun = true;
      waiting.length = 0;
    }
    if (!overrun) waiting.push(event);
    wake();
  });
  over.addEventListener('abort', wakeUp);
  return {
    /** Undefined when the reader is gone. Throws SlowReader. */
    async next(): Promise<FeedEvent | undefined> {
      while (!over.aborted) {
        if (overrun)
          throw failure(
            'SlowReader',
            `more than ${mostWaiting} changes of ${planId} were waiting; watch again from the last cursor`,
          );
        const event = waiting.shift();
        if (event) return event;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return undefined;
    },
    close(): void {
      unsubscribe();
      over.removeEventListener('abort', wakeUp);
    },
  };
}

async function snapshot(plans: WatchSources['plans'], planId: string) {
  const plan = await plans.header(planId);
  const tasks = await plans.tasks(planId, 0, 20_000);
  const event: WatchEvent = {
    event: { case: 'snapshot', value: { plan: planToProto(plan), tasks: tasks.map(taskToProto) } },
  };
  return { event, cursor: plan.cursor, isEnded: hasEnded(plan) };
}

const isOver = ({ plan }: ChangeSet): boolean => hasEnded(plan);

const changeEvent = ({ cursor, at, plan, tasks }: ChangeSet): WatchEvent => ({
  event: {
    case: 'change',
    value: {
      cursor: BigInt(cursor),
      at: timestampFromDate(new Date(at)),
      ...(plan && { plan: planToProto(plan) }),
      tasks: tasks.map(taskToProto),
    },
  },
});

const progressEvent = ({
  taskId,
  message,
  percent,
}: Extract<FeedEvent, { kind: 'progress' }>['report']): WatchEvent => ({
  event: {
    case: 'progress',
    value: { taskId, ...(message !== undefined && { message }), ...(percent !== undefined && { percent }) },
  },
});
