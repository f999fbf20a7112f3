/**
 * Rejects after `ms` when the promise has not settled; the promise itself goes on. What came in while this process was too
 * busy to look counts as in time: timers are due before the answers that lie ready, so these are let in first.
 */
export function within<T>(ms: number, promise: Promise<T>, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      setImmediate(() => {
        reject(new Error(message));
      });
    }, ms);
  });
  return Promise.race([promise, late]).finally(() => {
    clearTimeout(timer);
  });
}
