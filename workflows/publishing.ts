import { isCancellation, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { BusActivities, Publication } from '../activities/plan';
import { reportBatchLimits } from './contracts/plan';
import { taskQueues } from './contracts/task-queues';

// A local activity holds the workflow task open, and with it signals and queries: it gets 2 s and two tries, then the
// same activity runs remotely and stays there for a minute (measured: design page "temporal shapes", section 3).
const fast = proxyLocalActivities<BusActivities>({
  startToCloseTimeout: '2 seconds',
  scheduleToCloseTimeout: '3 seconds',
  retry: { maximumAttempts: 2, initialInterval: '200 milliseconds' },
});
const sure = proxyActivities<BusActivities>({
  taskQueue: taskQueues.bus,
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '500 milliseconds', maximumInterval: '10 seconds' },
});
const remoteForMs = 60_000;
// While local activities follow each other the workflow task goes on, and the server buffers 100 events or 2 MiB for it
// at most: then it fails the task, and all of them run again (measured with agents that answer at once).
const localInARow = 4;
const publicationBytes = 256 * 1024;

/** Tells the buses, in order, until they have taken it. At least once: readers drop what they know by event id. */
export function createPublishing(): { publish(all: Publication): Promise<void> } {
  let remoteUntil = 0;
  const publishOne = async (publication: Publication, mayBeLocal: boolean): Promise<void> => {
    if (mayBeLocal && Date.now() >= remoteUntil) {
      try {
        await fast.publish(publication);
        return;
      } catch (error) {
        if (isCancellation(error)) throw error;
        remoteUntil = Date.now() + remoteForMs;
      }
    }
    await sure.publish(publication);
  };
  return {
    async publish(all) {
      for (const [index, publication] of cutToSize(all).entries()) await publishOne(publication, index < localInARow);
    },
  };
}

/** At most 500 tasks and 256 KiB each; changes leave with the last tasks, so that most cost no event of their own. */
function cutToSize({ planId, tasks, cancels, changes }: Publication): readonly Publication[] {
  if (tasks.length === 0 && cancels.length === 0 && changes.length === 0) return [];
  const publications: Publication[] = [];
  let current = {
    tasks: [] as Publication['tasks'][number][],
    cancels,
    changes: [] as Publication['changes'][number][],
  };
  let bytes = 0;
  const add = (one: object, put: () => void): void => {
    const size = JSON.stringify(one).length;
    if (bytes > 0 && (bytes + size > publicationBytes || current.tasks.length >= reportBatchLimits.reports)) {
      publications.push({ planId, ...current });
      current = { tasks: [], cancels: [], changes: [] };
      bytes = 0;
    }
    bytes += size;
    put();
  };
  for (const one of tasks) add(one, () => current.tasks.push(one));
  for (const one of changes) add(one, () => current.changes.push(one));
  return [...publications, { planId, ...current }];
}
