import type { Writable } from 'node:stream';
import { failure } from '../../workflows/contracts/failures';

/** How long a reader may take nothing, unless a service is told otherwise. */
export const stalledAfterMs = 30_000;

/**
 * Resolves once the stream takes more, or is gone; whoever writes then sees which. Rejects with SlowReader when the
 * reader takes nothing for so long that it must be taken for stuck: it holds a connection and what waits for it.
 */
export function takesMore(stream: Writable, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // The last two tell the ends of a call that it is over.
    const events = ['drain', 'close', 'cancelled', 'status'];
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      for (const event of events) stream.off(event, go);
      if (error) reject(error);
      else resolve();
    };
    const go = (): void => {
      settle();
    };
    const timer = setTimeout(() => {
      settle(failure('SlowReader', `nothing was read for ${patienceMs / 1000} s; come again from where you stopped`));
    }, patienceMs);
    for (const event of events) stream.once(event, go);
    if (stream.destroyed) settle();
  });
}

/**
 * A stream that was ended says why behind all that was written before: who still takes nothing never gets there, and
 * what waits would be kept for ever. It is given up after the patience.
 */
export function giveUpUnread(stream: Writable, patienceMs: number, giveUp: () => void): void {
  const events = ['finish', 'close', 'cancelled'];
  const timer = setTimeout(giveUp, patienceMs).unref();
  for (const event of events)
    stream.once(event, () => {
      clearTimeout(timer);
    });
}
