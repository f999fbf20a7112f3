import { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { giveUpUnread, takesMore } from '../../services/runtime/slow-reader';

describe('a reader', () => {
  const full = () => {
    let go: () => void = () => undefined;
    const stream = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => (go = done) });
    expect(stream.write('xx')).toBe(false);
    return {
      stream,
      read: () => {
        go();
      },
    };
  };

  it('is waited for while it reads', async () => {
    const { stream, read } = full();
    const ready = takesMore(stream, 5000);
    read();
    await expect(ready).resolves.toBeUndefined();
  });

  it('is cut off when it stops', async () => {
    await expect(takesMore(full().stream, 20)).rejects.toMatchObject({ type: 'SlowReader' });
  });

  it('that left is waited for no longer', async () => {
    const { stream } = full();
    const ready = takesMore(stream, 5000);
    stream.destroy();
    await expect(ready).resolves.toBeUndefined();
    await expect(takesMore(stream, 5000)).resolves.toBeUndefined();
  });

  it('that does not even read the end is given up, and one that does is not', async () => {
    const givenUp = async ({ stream, read }: ReturnType<typeof full>, reads: boolean): Promise<boolean> => {
      stream.end();
      const givesUp = new Promise<true>((resolve) => {
        giveUpUnread(stream, 50, () => {
          resolve(true);
        });
      });
      if (reads) read();
      return Promise.race([givesUp, setTimeout(200, false)]);
    };
    expect([await givenUp(full(), false), await givenUp(full(), true)]).toEqual([true, false]);
  });
});
