import type { ActivateInput, WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { workflowInfo } from '@temporalio/workflow';
import { unbegunEvents } from './contracts/unbegun-events';

type Activation = ActivateInput['activation'];

/** The id of a query that did not come with a workflow task, in the words of the SDK. */
const legacyQuery = 'legacy_query';

/** What the history must have more of when the task after this one begins: its completion, the next one's scheduling and start. */
const eventsOfATask = 3;

/** Of which each is an event in the history. */
const isEvent = (job: NonNullable<Activation['jobs']>[number]): boolean =>
  Boolean(
    job.signalWorkflow ??
    job.fireTimer ??
    job.cancelWorkflow ??
    job.resolveChildWorkflowExecutionStart ??
    job.resolveChildWorkflowExecution,
  );

interface Moment {
  readonly events: number;
  readonly bytes: string;
  readonly time: string;
  readonly atMs: number;
  readonly isReplayed: boolean;
}
const momentOf = ({ historyLength, historySizeBytes, timestamp, isReplaying }: Activation): Moment => ({
  events: Number(historyLength),
  bytes: String(historySizeBytes),
  time: `${String(timestamp?.seconds)}.${String(timestamp?.nanos)}`,
  atMs: Number(timestamp?.seconds ?? 0) * 1000 + (timestamp?.nanos ?? 0) / 1e6,
  isReplayed: isReplaying === true,
});

/** Of a task's timeout, before the SDK lets the server wait longer for a task whose local activities run. */
const beforeHeartbeat = 0.7;

/**
 * Lets a workflow go on only with what its history will tell, where the SDK (1.24) does not see to that itself. What is
 * wrong throws: the run is forgotten and made anew from its history, and a query is asked again by whoever asked.
 * Else the history would not replay any more ("Missing associated machine for LocalActivity(n)" for ever after).
 *
 * **Events that no task has begun with.** A query of a workflow that no worker has at hand is answered by replaying its
 * history, and a signal may come between the question and the reading of that history. The SDK then hands the signal
 * over although no workflow task has begun with it, and goes on alone with what the next task, and every replay, has
 * together with later signals. Such an activation is told by that events were added while neither the size of the
 * history nor the time has changed, for both change with each workflow task.
 *
 * **A task that was lost.** A query that was sent out just before a workflow task began, and arrives while a local
 * activity of that task runs, is put in the place of the task ("Trying to send a new WFT for a run which already has
 * one!"). The task is never answered, and the server gives it out again after its timeout, together with what came
 * meanwhile. A task that the server itself ends, because too much came for it, is given out again at once. The server
 * sends no query of a running workflow out while a task is under way, so one that arrives while a local activity runs
 * tells it. The SDK may keep the query until the activity has ended; then it is told when the task is given out again:
 * the history has too few events for a task that was completed with the markers of its local activities, or another
 * task begins though a local activity runs, sooner than a heartbeat would bring one. (An answered query brings one too.)
 * From its second attempt on the SDK does not report a refused task, which then comes again after its timeout.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let last: Moment | undefined;
  /** Of the task that is under way, or was last: when it began, and whether it answered a query while an activity ran. */
  let beganMs = 0;
  let answered = false;
  /** Local activities that run, and those that began and ended in that task: it leaves a marker for each of these. */
  let running = 0;
  let ended = 0;
  const refuseUnbegun = (now: Moment, before: Moment): void => {
    // A server that does not count bytes says nothing here.
    if (before.bytes === '0') return;
    if (now.events > before.events && now.bytes === before.bytes && now.time === before.time)
      throw new Error(unbegunEvents);
  };
  const refuseAfterALostTask = (now: Moment, before: Moment, jobs: Activation['jobs']): void => {
    if (now.isReplayed || before.isReplayed) return;
    const atLeast = eventsOfATask + ended + (jobs ?? []).filter(isEvent).length;
    const lacksMarkers = ended > 0 && now.events - before.events < atLeast;
    const isTooSoon = running > 0 && !answered && now.atMs - beganMs < beforeHeartbeat * workflowInfo().taskTimeoutMs;
    if (lacksMarkers || isTooSoon) throw new Error('the workflow task before this one was lost: it is done again');
  };
  return {
    outbound: [
      {
        scheduleLocalActivity(input, next) {
          const result = next(input);
          running += 1;
          const began = last?.events;
          const end = (): void => {
            running -= 1;
            if (began === last?.events) ended += 1;
          };
          result.then(end, end);
          return result;
        },
      },
    ],
    internals: [
      {
        activate(input, next) {
          const jobs = input.activation.jobs ?? [];
          const queries = jobs.flatMap(({ queryWorkflow }) => queryWorkflow ?? []);
          if (running > 0 && queries.some(({ queryId }) => queryId === legacyQuery)) throw new Error(unbegunEvents);
          answered ||= running > 0 && queries.length > 0;
          if (jobs.some(({ queryWorkflow, removeFromCache }) => !queryWorkflow && !removeFromCache)) {
            const now = momentOf(input.activation);
            if (now.events !== last?.events) {
              if (last) {
                refuseUnbegun(now, last);
                refuseAfterALostTask(now, last, jobs);
              }
              beganMs = now.atMs;
              answered = false;
              ended = 0;
            }
            last = now;
          }
          next(input);
        },
      },
    ],
  };
};
