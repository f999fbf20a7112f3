import { failure } from '../../workflows/contracts/failures';

/** For callers that set no deadline of their own; clients of ours do. */
const patienceMs = 30_000;

/**
 * One answer, for as long as somebody waits for it: rejects with DeadlineExceeded when the caller is gone, and after
 * 30 s in any case. Either aborts the signal that the work gets.
 */
export function whileWaitedFor<T>(
  gone: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  limitMs = patienceMs,
): Promise<T> {
  const over = new AbortController();
  const late = new Promise<never>((_resolve, reject) => {
    over.signal.addEventListener('abort', () => {
      reject(failure('DeadlineExceeded', 'there was no answer in time; ask again'));
    });
  });
  const stop = (): void => {
    over.abort();
  };
  const timer = setTimeout(stop, limitMs);
  gone.addEventListener('abort', stop);
  if (gone.aborted) stop();
  const answer = async (): Promise<T> => work(over.signal);
  return Promise.race([answer(), late]).finally(() => {
    clearTimeout(timer);
    gone.removeEventListener('abort', stop);
  });
}
