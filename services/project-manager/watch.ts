import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { WatchPlanResponseSchema } from '../../proto/aats/project/v1/project_pb';
import { failure } from '../../workflows/contracts/failures';
import type { ChangeSet } from '../../workflows/contracts/plan';
import { planToProto, taskToProto } from './mapping';
import type { FeedEvent, PlanFeed } from './plan-feed';
import type { Plans } from './plans';

type WatchEvent = MessageInitShape<typeof WatchPlanResponseSchema>;

/** A reader that has more waiting than this is cut off: it may come again with its cursor. */
const mostWaiting = 2000;
const ended = new Set(['succeeded', 'failed', 'cancelled']);

/**
 * A snapshot by one query, then every change as it is published. With a cursor that is still kept, the changes since it
 * and no query at all. Ends with the plan. Throws SlowReader when the reader does not keep up.
 */
export async function* watchPlan(
  plans: Plans,
  feed: PlanFeed,
  planId: string,
  cursor: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  const waiting: FeedEvent[] = [];
  let wake: () => void = () => undefined;
  let overrun = false;
  // Subscribed before anything is read, so that no change falls between the snapshot and the feed.
  const unsubscribe = feed.subscribe(planId, (event) => {
    if (waiting.length >= mostWaiting) overrun = true;
    else waiting.push(event);
    wake();
  });
  const stop = (): void => {
    wake();
  };
  signal.addEventListener('abort', stop);
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
      const plan = await plans.header(planId);
      const tasks = await plans.tasks(planId, 0, 20_000);
      last = plan.cursor;
      yield { event: { case: 'snapshot', value: { plan: planToProto(plan), tasks: tasks.map(taskToProto) } } };
      if (ended.has(plan.state)) return;
    }
    while (!signal.aborted) {
      if (overrun)
        throw failure(
          'SlowReader',
          `more than ${mostWaiting} changes of ${planId} were waiting; watch again from the last cursor`,
        );
      const event = waiting.shift();
      if (!event) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if (event.kind === 'progress') {
        const { taskId, message, percent } = event.report;
        yield {
          event: {
            case: 'progress',
            value: { taskId, ...(message !== undefined && { message }), ...(percent !== undefined && { percent }) },
          },
        };
      } else if (event.change.cursor > last) {
        last = event.change.cursor;
        yield changeEvent(event.change);
        if (isOver(event.change)) return;
      }
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', stop);
  }
}

const isOver = ({ plan }: ChangeSet): boolean => plan !== undefined && ended.has(plan.state);
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
