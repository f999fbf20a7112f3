import { sleep } from '@temporalio/workflow';

/**
 * One timer for a whole plan: kept when the next moment moves later, so that it fires too early at times and is armed
 * anew; one more only for an earlier moment (measured: a timer re-armed at each change costs two events a change).
 */
export function createWakeTimer(due: () => void): { arm(at: number): void } {
  // A later one goes on beside an earlier one, and is there when that has fired.
  const armed = new Set<number>();
  return {
    arm(at) {
      for (const one of armed) if (one <= at) return;
      armed.add(at);
      void sleep(Math.max(1, at - Date.now())).then(
        () => {
          armed.delete(at);
          due();
        },
        () => undefined, // the run is over
      );
    },
  };
}
