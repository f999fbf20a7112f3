/**
 * Rejects after `ms` when the promise has not settled; the promise itself goes on. After a time in which
 * this process was too busy to look, timers are due before the answers that lie ready: one look at these comes first.
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
