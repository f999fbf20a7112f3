import { status } from '@grpc/grpc-js';
import { WorkflowUpdateFailedError } from '@temporalio/client';

const attempts = 4;

/**
 * Makes an update again that Temporal gave up because the workflow's task failed: most often a message came in the
 * moment in which the workflow ended, which is nobody's fault. The update must carry an id of its own, so that it counts
 * once. Throws what the workflow answered, not what Temporal wraps around it.
 */
export async function updating<T>(update: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await update();
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError && error.cause) throw error.cause;
      if (attempt === attempts || !wasGivenUp(error)) throw error;
    }
  }
}

function wasGivenUp(error: unknown): boolean {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return (
    cause instanceof Error &&
    'code' in cause &&
    cause.code === status.FAILED_PRECONDITION &&
    cause.message.includes('workflow task failure')
  );
}
