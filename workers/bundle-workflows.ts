import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';

/**
 * The bundle of all workflows, made once for each state of their compiled code and kept beside it: a worker that had
 * to make it would start seconds later. Made by several at once, the last rename wins, with the same content.
 */
export async function workflowBundle(): Promise<{ readonly codePath: string }> {
  const workflows = join(__dirname, '..', 'workflows');
  const hash = createHash('sha256');
  for (const file of readdirSync(workflows, { recursive: true, encoding: 'utf8' }).sort())
    if (/\.(js|ts)$/.test(file)) hash.update(file).update(readFileSync(join(workflows, file)));
  // Beside the compiled code, also when a test runs the sources.
  const root = join(__dirname, '..');
  const dir = join(basename(root) === 'dist' ? root : join(root, 'dist'), 'workflow-bundle');
  const codePath = join(dir, `${hash.digest('hex').slice(0, 16)}.js`);
  if (!existsSync(codePath)) {
    const { code } = await bundleWorkflowCode({
      workflowsPath: require.resolve('../workflows'),
      workflowInterceptorModules: [require.resolve('../workflows/begun-events')],
      logger: {
        log: () => undefined,
        trace: () => undefined,
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: () => undefined,
      },
    });
    mkdirSync(dir, { recursive: true });
    const aside = `${codePath}.${process.pid}`;
    writeFileSync(aside, code);
    renameSync(aside, codePath);
  }
  return { codePath };
}
