import type { Context } from 'koa';
import type { Logger } from './logger';
import { giveUpUnread, takesMore } from './slow-reader';

/** So much is written at once: who takes that within the patience reads, however slowly. */
const pieceBytes = 16 * 1024;

/**
 * Sends a document as fast as it is read. The first chunk decides between it and an ordinary answer: a failure before it
 * is thrown, and `describe`, which sets the headers, is called after it. Later ones, and a reader that takes nothing for
 * `patienceMs`, end the connection and are logged: a part of a document must not look like the whole.
 */
export async function sendBytes(
  ctx: Context,
  chunks: AsyncIterable<Uint8Array>,
  describe: () => void,
  { patienceMs, logger }: { readonly patienceMs: number; readonly logger: Logger },
): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    let next = await iterator.next();
    describe();
    ctx.respond = false;
    const { res } = ctx;
    res.writeHead(200);
    try {
      for (; next.done !== true && !res.destroyed; next = await iterator.next())
        for (let at = 0; at < next.value.length; at += pieceBytes)
          if (!res.write(next.value.subarray(at, at + pieceBytes))) await takesMore(res, patienceMs);
      res.end();
      giveUpUnread(res, patienceMs, () => res.destroy());
    } catch (error) {
      logger.warn({ err: error, path: ctx.path }, 'a document was not sent to its end');
      res.destroy();
    }
  } finally {
    await iterator.return?.();
  }
}
