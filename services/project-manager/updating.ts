import { setTimeout } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { FailureType } from '../../workflows/contracts/failures';

const attempts = 4;
/** A plan takes commands again once it has read what it continues with. */
const drainedWithinMs = 5000;
const pauseMs = 100;

/**
 * Makes an update again that Temporal gave up because the workflow's task failed: most often a message came in the
 * moment in which the workflow ended, which is nobody's fault; and one that came while the workflow continued as new.
 * The update must carry an id of its own, so that it counts once. Throws what the workflow answered, not what Temporal
 * wraps around it.
 */
export async function updating<T>(update: () => Promise<T>): Promise<T> {
  const ends = Date.now() + drainedWithinMs;
  for (let attempt = 1; ;) {
    try {
      return await update();
    } catch (error) {
      const refusal = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
      if (isDraining(refusal) && Date.now() < ends) {
        await setTimeout(pauseMs);
        continue;
      }
      if (refusal) throw refusal;
      if (attempt === attempts || !wasGivenUp(error)) throw error;
      attempt += 1;
    }
  }
}

const isDraining = (refusal: unknown): boolean =>
  refusal instanceof ApplicationFailure && refusal.type === ('Draining' satisfies FailureType);

function wasGivenUp(error: unknown): boolean {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return (
    cause instanceof Error &&
    'code' in cause &&
    cause.code === status.FAILED_PRECONDITION &&
    cause.message.includes('workflow task failure')
  );
}
