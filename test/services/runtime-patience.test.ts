import { whileWaitedFor } from '../../services/runtime/patience';

describe('an answer', () => {
  const late = { type: 'DeadlineExceeded' };
  const never = (seen: (signal: AbortSignal) => void) => (signal: AbortSignal) => {
    seen(signal);
    return new Promise<never>(() => undefined);
  };

  it('comes as it is, and so does a failure, also one that is thrown at once', async () => {
    const { signal } = new AbortController();
    await expect(whileWaitedFor(signal, () => Promise.resolve(5))).resolves.toBe(5);
    const bug = () => {
      throw new Error('bug');
    };
    await expect(whileWaitedFor(signal, bug)).rejects.toThrow('bug');
  });

  it('is not waited for without end, nor when its caller has gone; the work is told', async () => {
    const told: AbortSignal[] = [];
    const work = never((signal) => told.push(signal));
    await expect(whileWaitedFor(new AbortController().signal, work, 10)).rejects.toMatchObject(late);
    const gone = new AbortController();
    const waiting = whileWaitedFor(gone.signal, work);
    gone.abort();
    await expect(waiting).rejects.toMatchObject(late);
    await expect(whileWaitedFor(gone.signal, work)).rejects.toMatchObject(late);
    expect(told.map(({ aborted }) => aborted)).toEqual([true, true, true]);
  });
});
