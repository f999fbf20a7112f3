import { failure } from '../workflows/contracts/failures';
import type { Json } from '../workflows/contracts/json';
import type { ChangeSet } from '../workflows/contracts/plan';
import type { TaskDispatch } from '../workflows/contracts/messages';

/** What one activation of a plan has to tell: tasks for agents, attempts to stop, changes for whoever watches. */
export interface Publication {
  readonly planId: string;
  readonly tasks: readonly TaskDispatch[];
  readonly cancels: readonly { readonly planId: string; readonly taskId: string; readonly attempt: number }[];
  readonly changes: readonly ChangeSet[];
}

/** The way to the buses; fails within 2 s rather than waiting for a broker. */
export interface Publisher {
  publish(publication: Publication): Promise<void>;
}
/** The artifact store, as far as snapshots need it. */
export interface SnapshotStore {
  put(content: string, name: string): Promise<string>;
  get(artifact: string): Promise<string>;
}

export function createBusActivities({ publisher }: { readonly publisher: Publisher }) {
  return {
    /** May run twice after a crash: whoever reads drops repeats by event id. */
    async publish(publication: Publication): Promise<void> {
      refuseUnapproved(publication);
      await publisher.publish(publication);
    },
  };
}

/**
 * The last look before a task leaves: one with a gate before it carries the outcome of just that gate, and it says
 * approved. What will make the outcome itself provable, a signed statement, is verified here too.
 */
function refuseUnapproved({ planId, tasks }: Publication): void {
  for (const { taskId, approval } of tasks) {
    const [gated = ''] = taskId.split('.');
    if (approval && (approval.status !== 'approved' || !approval.approvalId.startsWith(`${planId}/${gated}/`)))
      throw failure('PermissionDenied', `task ${taskId} of plan ${planId} was not approved`);
  }
}
export type BusActivities = ReturnType<typeof createBusActivities>;

/** Results by task id. */
type Results = readonly (readonly [taskId: string, output: Json])[];

export function createDataActivities({ snapshots }: { readonly snapshots: SnapshotStore }) {
  return {
    /** Stores a part of a snapshot, addressed by its content: twice gives the same reference. */
    async putSnapshotPart({ planId, text }: { readonly planId: string; readonly text: string }): Promise<string> {
      return snapshots.put(text, `${planId}.snapshot`);
    },
    /** Stores results that later tasks read, likewise. */
    async putResults({ planId, entries }: { readonly planId: string; readonly entries: Results }): Promise<string> {
      return snapshots.put(JSON.stringify(entries), `${planId}.results`);
    },
    async getResults({ artifact }: { readonly artifact: string }): Promise<Results> {
      return JSON.parse(await snapshots.get(artifact)) as Results;
    },
    async getSnapshotPart({ artifact }: { readonly artifact: string }): Promise<string> {
      return snapshots.get(artifact);
    },
  };
}
export type DataActivities = ReturnType<typeof createDataActivities>;
