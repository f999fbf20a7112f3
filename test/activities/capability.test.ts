import { z } from 'zod';
import { capability } from '../../agents/work';
import { createDesk, type Desk } from '../support/work';

describe('capability', () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await createDesk();
  });
  afterAll(() => desk.remove());

  // Gives back what it is given: what its output schema says is all that stands in the way.
  const count = capability({
    name: 'count',
    description: 'Counts',
    input: z.strictObject({ of: z.json() }),
    output: z.object({ count: z.int() }),
    needsFolder: false,
    run: ({ of }) => Promise.resolve(of as { count: number }),
  });

  it('gives only what it declared', async () => {
    expect(await count.run({ of: { count: 3, private: 'x' } }, await desk.work())).toEqual({ count: 3 });
  });

  it('says what is wrong with the input, which no retry can help', async () => {
    await expect(count.run({ off: 1 }, await desk.work())).rejects.toMatchObject({
      type: 'InvalidInput',
      retryable: false,
      message: expect.stringMatching(/^of: Invalid input[^\n✖]*; Unrecognized key: "off"$/) as string,
    });
  });

  it('says what is wrong with its own result, which another attempt may help', async () => {
    await expect(count.run({ of: { count: 'three' } }, await desk.work())).rejects.toMatchObject({
      type: 'OutputInvalid',
      retryable: true,
      message: expect.stringContaining('count') as string,
    });
  });
});
