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
