import { setTimeout } from 'node:timers/promises';
import { unbegunEvents } from '../../workflows/contracts/unbegun-events';

const attempts = 6;
const pauseMs = 100;

/** Whether a query failed only because something new came to the workflow meanwhile. */
export const isBusy = (error: unknown): boolean => error instanceof Error && error.message.includes(unbegunEvents);

/** Asks a workflow again while that is why it failed; most often once is enough. */
export async function querying<T>(query: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await query();
    } catch (error) {
      if (attempt === attempts || !isBusy(error)) throw error;
      await setTimeout(attempt * pauseMs);
    }
  }
}
