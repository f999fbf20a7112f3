import type { Context } from 'koa';
import { giveUpUnread, takesMore } from './slow-reader';

/**
 * Sends a document as fast as it is read. The first chunk decides between it and an ordinary answer: a failure before it
 * is thrown, and `describe`, which sets the headers, is called after it. Later ones, and a reader that takes nothing for `patienceMs`, end the connection: a part of a document must
 * not look like the whole.
 */
export async function sendBytes(
  ctx: Context,
  chunks: AsyncIterable<Uint8Array>,
  describe: () => void,
  patienceMs: number,
): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]();
  let next = await iterator.next();
  describe();
  ctx.respond = false;
  const { res } = ctx;
  res.writeHead(200);
  try {
    for (; next.done !== true && !res.destroyed; next = await iterator.next())
      if (!res.write(next.value)) await takesMore(res, patienceMs);
    res.end();
    giveUpUnread(res, patienceMs, () => res.destroy());
  } catch {
    res.destroy();
  } finally {
    await iterator.return?.();
  }
}
