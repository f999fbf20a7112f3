import { setTimeout } from 'node:timers/promises';
import { unbegunEvents } from '../../workflows/contracts/unbegun-events';

const attempts = 6;
const pauseMs = 100;

/** Asks a workflow again whose query failed only because a signal came meanwhile; most often once is enough. */
export async function querying<T>(query: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await query();
    } catch (error) {
      if (attempt === attempts || !(error instanceof Error && error.message.includes(unbegunEvents))) throw error;
      await setTimeout(attempt * pauseMs);
    }
  }
}
