import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { classPath } from './jars';
import type { StackContext } from './server';

/**
 * Temporal's time-skipping test server, for tests alone: an executable for the SDK's `existing-path`. It listens on all
 * interfaces while a test runs.
 */
export async function timeSkippingServer(ctx: StackContext): Promise<string> {
  const jars = await classPath(ctx, 'time-skipping');
  const { java } = await ctx.python();
  const dir = join(ctx.cacheDir, 'time-skipping');
  await mkdir(dir, { recursive: true });
  const script = join(dir, 'run');
  await writeFile(
    script,
    `#!/bin/sh\nexec '${java}' -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '${jars}' io.temporal.testserver.TestServer "$@"\n`,
  );
  await chmod(script, 0o755);
  return script;
}
