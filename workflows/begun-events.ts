import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { unbegunEvents } from './contracts/unbegun-events';

/** The id of a query that did not come with a workflow task. */
const sentOut = 'legacy_query';

/**
 * Lets a workflow see an event only once a workflow task has begun with it.
 *
 * A query of a workflow that no worker has at hand is answered by replaying its history, and a signal may come between
 * the question and the reading of that history. The SDK (1.24) then hands the signal over although no workflow task has
 * begun with it, and keeps that run: it goes on alone with what the next task, and every replay, has together with
 * later signals. Seen as "Missing associated machine for LocalActivity(n)" for ever after. Such an activation is told
 * by that events were added while neither the size of the history nor the time has changed, for both change with each
 * workflow task. It throws: the query fails, the run is forgotten, and whoever asked asks again.
 *
 * The same comes of a query that was sent out just before a workflow task began, and arrives while a local activity of
 * that task runs: the SDK ("Trying to send a new WFT for a run which already has one!") puts it in the place of the
 * task, which is then never answered, and goes on with a run that the history does not tell. The server sends no such
 * query while a workflow task is under way, so a local activity that runs tells it. It throws as well; the task comes
 * again after its timeout.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let last = { events: 0, bytes: '0', time: '' };
  let running = 0;
  const ended = (): void => void (running -= 1);
  return {
    outbound: [
      {
        scheduleLocalActivity(input, next) {
          const result = next(input);
          running += 1;
          result.then(ended, ended);
          return result;
        },
      },
    ],
    internals: [
      {
        activate(input, next) {
          const { historyLength, historySizeBytes, timestamp, jobs } = input.activation;
          const isSentOut = jobs?.some(({ queryWorkflow }) => queryWorkflow?.queryId === sentOut) === true;
          if (isSentOut && running > 0) throw new Error(unbegunEvents);
          const now = {
            events: Number(historyLength),
            bytes: String(historySizeBytes),
            time: `${String(timestamp?.seconds)}.${String(timestamp?.nanos)}`,
          };
          const isNews =
            jobs?.some(({ queryWorkflow, removeFromCache }) => !queryWorkflow && !removeFromCache) === true;
          if (
            isNews &&
            last.bytes !== '0' &&
            now.events > last.events &&
            now.bytes === last.bytes &&
            now.time === last.time
          )
            throw new Error(unbegunEvents);
          if (isNews) last = now;
          next(input);
        },
      },
    ],
  };
};
