import type { ActivateInput, LocalActivityInput } from '@temporalio/workflow';
import { interceptors } from '../../workflows/begun-events';
import { unbegunEvents } from '../../workflows/contracts/unbegun-events';

const query = (queryId: string): ActivateInput =>
  ({ activation: { historyLength: 5, jobs: [{ queryWorkflow: { queryId } }] } }) as unknown as ActivateInput;
const activity = {} as LocalActivityInput;

it('answers no query that took the place of the workflow task whose local activity runs', async () => {
  const { internals: [internal] = [], outbound: [outbound] = [] } = interceptors();
  let answered = 0;
  const ask = (id: string): void => internal?.activate?.(query(id), () => void (answered += 1));
  ask('legacy_query');
  let end: (value: unknown) => void = () => undefined;
  const running = outbound?.scheduleLocalActivity?.(activity, () => new Promise((resolve) => (end = resolve)));
  expect(() => {
    ask('legacy_query');
  }).toThrow(unbegunEvents);
  ask('with-a-task');
  end('done');
  expect(await running).toBe('done');
  ask('legacy_query');
  const away = outbound?.scheduleLocalActivity?.(activity, () => Promise.reject(new Error('away')));
  await expect(away).rejects.toThrow('away');
  ask('legacy_query');
  expect(answered).toBe(4);
});

describe('the task after one with a local activity', () => {
  const task = (historyLength: number, signals: number, isReplaying = false): ActivateInput =>
    ({
      activation: {
        historyLength,
        historySizeBytes: historyLength * 100,
        timestamp: { seconds: historyLength, nanos: 0 },
        isReplaying,
        jobs: Array.from({ length: signals }, () => ({ signalWorkflow: {} })),
      },
    }) as unknown as ActivateInput;
  const workflow = () => {
    const { internals: [internal] = [], outbound: [outbound] = [] } = interceptors();
    return {
      begins: (...of: Parameters<typeof task>): void => internal?.activate?.(task(...of), () => undefined),
      publishes: () => outbound?.scheduleLocalActivity?.(activity, () => Promise.resolve()),
    };
  };

  it("is refused when the history has no room for that one's end and marker: it was lost, and this one is it again", async () => {
    const { begins, publishes } = workflow();
    begins(10, 1);
    await publishes();
    // Timed out, two signals, scheduled, started.
    expect(() => {
      begins(15, 2);
    }).toThrow('was lost');
  });

  it.each([
    ['completed, with a marker, two signals', 16, 2],
    ['completed, with a marker and more', 19, 1],
  ])('goes on after one that was %s', async (_name, events, signals) => {
    const { begins, publishes } = workflow();
    begins(10, 1);
    await publishes();
    begins(events, signals);
    // That one had no activity: what it was given again would be the same.
    begins(events + 3, 1);
  });

  it('is not refused while the history is replayed', async () => {
    const { begins, publishes } = workflow();
    begins(10, 1, true);
    await publishes();
    begins(15, 2);
  });
});
