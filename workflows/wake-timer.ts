import { sleep } from '@temporalio/workflow';

/**
 * One timer for a whole plan: kept when the next moment moves later, so that it fires too early at times and is armed
 * anew; one more only for an earlier moment (measured: a timer re-armed at each change costs two events a change).
 */
export function createWakeTimer(due: () => void): { arm(at: number): void } {
  let armed: number | undefined;
  return {
    arm(at) {
      if (armed !== undefined && armed <= at) return;
      armed = at;
      void sleep(Math.max(1, at - Date.now())).then(
        () => {
          if (armed === at) armed = undefined;
          due();
        },
        () => undefined, // the run is over
      );
    },
  };
}
