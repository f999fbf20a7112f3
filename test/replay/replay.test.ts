import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { workflowBundle } from '../../workers/bundle-workflows';

jest.setTimeout(60_000);
const folder = join(__dirname, 'histories');
const histories = readdirSync(folder).filter((name) => name.endsWith('.json'));
const read = (name: string) => historyFromJSON(JSON.parse(readFileSync(join(folder, name), 'utf8')));
const replay = (bundle: WorkflowBundle | { readonly codePath: string }, name: string): Promise<void> =>
  Worker.runReplayHistory({ workflowBundle: bundle }, read(name), name);

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
});

describe('recorded histories', () => {
  it('has some of each workflow', () => {
    expect(histories.some((name) => name.startsWith('plan-'))).toBe(true);
    expect(histories.some((name) => name.startsWith('approval-'))).toBe(true);
  });

  it.each(histories)('replays %s', async (name) => {
    await replay(await workflowBundle(), name);
  });

  it('refuses a workflow that does something else', async () => {
    const changed = await bundleWorkflowCode({
      workflowsPath: require.resolve('./changed-workflows'),
      logger: new DefaultLogger('ERROR'),
    });
    await expect(
      replay(changed, histories.find((name) => name.startsWith('plan-fan-out')) ?? ''),
    ).rejects.toMatchObject({
      name: 'DeterminismViolationError',
    });
  });
});
