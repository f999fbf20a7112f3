import { ApplicationFailure } from '@temporalio/common';
import { failure } from '../../workflows/contracts/failures';
import { within } from '../within';

/** Less than the callers' own deadlines, so that they learn which store is away. */
const answersWithinMs = 4000;

/**
 * The same adapter, with every promise of it kept within 4 s: drivers wait for their server, for ever if they have to, and
 * whoever asks here does not. Rejects with StoreUnavailable, which names the store; failures of ours pass as they are.
 */
export function answering<T extends object>(store: string, adapter: T): T {
  const inTime = async (answer: Promise<unknown>): Promise<unknown> => {
    const message = `${store} does not answer`;
    try {
      return await within(answersWithinMs, answer, message);
    } catch (error) {
      if (error instanceof ApplicationFailure) throw error;
      throw failure('StoreUnavailable', `${message}; try again`, { ...(error instanceof Error && { cause: error }) });
    }
  };
  return new Proxy(adapter, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: readonly unknown[]): unknown => {
        const answer: unknown = Reflect.apply(member, target, args);
        return answer instanceof Promise ? inTime(answer) : answer;
      };
    },
  });
}
