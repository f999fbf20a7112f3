import type { Context } from 'koa';
import { giveUpUnread, takesMore } from './slow-reader';

/** One event of a stream (WHATWG HTML, 9.2); the id is what a browser sends back as Last-Event-ID. */
export interface ServerSentEvent {
  readonly event: string;
  readonly id?: string;
  readonly data: object;
}

const keepAliveMs = 15_000;

/**
 * Sends events as fast as they are read. The first one decides between a stream and an ordinary answer: a failure
 * before it is thrown. A later one is told as the event `failed` with what `describe` makes of it; the end is the
 * event `end`, since a browser would otherwise come again for ever.
 */
export async function sendEvents(
  ctx: Context,
  events: AsyncIterable<ServerSentEvent>,
  describe: (error: unknown) => object,
  patienceMs: number,
): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  let next = await iterator.next();
  ctx.respond = false;
  const { res } = ctx;
  res.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  const alive = setInterval(() => res.write(': still here\n\n'), keepAliveMs);
  try {
    while (next.done !== true && !res.destroyed) {
      if (!res.write(textOf(next.value))) await takesMore(res, patienceMs);
      next = await iterator.next();
    }
    res.end(textOf({ event: 'end', data: {} }));
  } catch (error) {
    res.end(textOf({ event: 'failed', data: describe(error) }));
  } finally {
    giveUpUnread(res, patienceMs, () => res.destroy());
    clearInterval(alive);
    await iterator.return?.();
  }
}

const textOf = ({ event, id, data }: ServerSentEvent): string =>
  `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
