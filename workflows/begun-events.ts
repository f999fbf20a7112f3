import type { ActivateInput, WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { workflowInfo } from '@temporalio/workflow';
import { unbegunEvents } from './contracts/unbegun-events';

type Activation = ActivateInput['activation'];

/** The id of a query that did not come with a workflow task. */
const sentOut = 'legacy_query';

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

interface WorkflowTask {
  readonly events: number;
  readonly bytes: string;
  readonly time: string;
  readonly beganMs: number;
  readonly isReplayed: boolean;
}
const taskOf = ({ historyLength, historySizeBytes, timestamp, isReplaying }: Activation): WorkflowTask => ({
  events: Number(historyLength),
  bytes: String(historySizeBytes),
  time: `${String(timestamp?.seconds)}.${String(timestamp?.nanos)}`,
  beganMs: Number(timestamp?.seconds ?? 0) * 1000 + (timestamp?.nanos ?? 0) / 1e6,
  isReplayed: isReplaying === true,
});

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
 * **A task whose place a query took.** A query that was sent out just before a workflow task began, and arrives while a
 * local activity of that task runs, is put in the place of the task ("Trying to send a new WFT for a run which already
 * has one!"). The task is never answered, and the server gives it out again after its timeout, together with what came
 * meanwhile. The server sends no query out while a task is under way, so one that arrives while a local activity runs
 * tells it. The SDK may keep the query until the activity has ended, or answer it alone; then it is told when the task
 * is given out again: the history has too few events for one that was completed with the markers of its local
 * activities, or the time of one has passed whose local activity had not ended.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let last: WorkflowTask | undefined;
  /** Local activities that run, and those that began and ended in the last task: it leaves a marker for each of these. */
  let running = 0;
  let ended = 0;
  const refuseUnbegun = (now: WorkflowTask, before: WorkflowTask): void => {
    // A server that does not count bytes says nothing here.
    if (before.bytes === '0') return;
    if (now.events > before.events && now.bytes === before.bytes && now.time === before.time)
      throw new Error(unbegunEvents);
  };
  const refuseAfterALostTask = (now: WorkflowTask, before: WorkflowTask, jobs: Activation['jobs']): void => {
    if (now.events === before.events || now.isReplayed || before.isReplayed) return;
    const atLeast = eventsOfATask + ended + (jobs ?? []).filter(isEvent).length;
    const lacksMarkers = ended > 0 && now.events - before.events < atLeast;
    const isOverdue = running > 0 && now.beganMs - before.beganMs >= workflowInfo().taskTimeoutMs;
    if (lacksMarkers || isOverdue) throw new Error('the workflow task before this one was lost: it is done again');
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
          const { jobs } = input.activation;
          const isSentOut = jobs?.some(({ queryWorkflow }) => queryWorkflow?.queryId === sentOut) === true;
          if (isSentOut && running > 0) throw new Error(unbegunEvents);
          const isNews =
            jobs?.some(({ queryWorkflow, removeFromCache }) => !queryWorkflow && !removeFromCache) === true;
          if (isNews) {
            const now = taskOf(input.activation);
            if (last) {
              refuseUnbegun(now, last);
              refuseAfterALostTask(now, last, jobs);
            }
            if (now.events !== last?.events) ended = 0;
            last = now;
          }
          next(input);
        },
      },
    ],
  };
};
