import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { workflowBundle } from '../../workers/bundle-workflows';
import * as workflows from '../../workflows';

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
    for (const name of Object.keys(workflows))
      expect(histories.some((file) => file.startsWith(`${name.replace('Workflow', '')}-`))).toBe(true);
  });

  it.each(histories)('replays %s', async (name) => {
    await replay(await workflowBundle(), name);
  });

  it('refuses each of them for a workflow that does something else', async () => {
    const changed = await bundleWorkflowCode({
      workflowsPath: require.resolve('./changed-workflows'),
      logger: new DefaultLogger('ERROR'),
    });
    for (const name of histories)
      await expect(replay(changed, name)).rejects.toMatchObject({ name: 'DeterminismViolationError' });
  });
});
