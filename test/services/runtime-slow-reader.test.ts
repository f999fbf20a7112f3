import { Writable } from 'node:stream';
import { takesMore } from '../../services/runtime/slow-reader';

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
});
