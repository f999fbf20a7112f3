import { proxyActivities } from '@temporalio/workflow';

const { echo } = proxyActivities<{ echo(value: { readonly n: number }): Promise<{ readonly n: number }> }>({
  startToCloseTimeout: '1 minute',
});

/** What one would write by hand: a workflow with an activity a task, `layers` times `width` of them. */
export async function bareWorkflow(width: number, layers: number): Promise<number> {
  let done = 0;
  for (let layer = 0; layer < layers; layer++) {
    const results = await Promise.all(Array.from({ length: width }, (_, n) => echo({ n })));
    done += results.length;
  }
  return done;
}
