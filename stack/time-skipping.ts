import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { classPath } from './jars';
import type { StackContext } from './server';

const archiveFile = 'classes.jsa';
const startsWithinSeconds = 120;

/**
 * Temporal's time-skipping test server, for tests alone: an executable for the SDK's `existing-path`. It listens on all
 * interfaces while a test runs. Its classes are archived once (JEP 350), since the SDK waits 5 s for it to start.
 */
export async function timeSkippingServer(ctx: StackContext): Promise<string> {
  const jars = await classPath(ctx, 'time-skipping');
  const { java } = await ctx.python();
  const options = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', jars];
  const version = createHash('sha256')
    .update(`${java} ${options.join(' ')}`)
    .digest('hex')
    .slice(0, 16);
  const dir = await ctx.cached('time-skipping', version, async (target) => {
    await archiveClasses(ctx, java, [`-XX:ArchiveClassesAtExit=${join(target, archiveFile)}`, ...options]);
    const command = [java, `-XX:SharedArchiveFile=${join(target, archiveFile)}`, ...options].map((word) => `'${word}'`);
    await writeFile(
      join(target, 'run'),
      `#!/bin/sh\nexec ${command.join(' ')} io.temporal.testserver.TestServer "$@"\n`,
    );
    await chmod(join(target, 'run'), 0o755);
  });
  return join(dir, 'run');
}

/** Starts it once and ends it: what it loaded until then is written at its exit. */
async function archiveClasses(ctx: StackContext, java: string, options: readonly string[]): Promise<void> {
  const port = await freePort();
  const server = spawn(java, [...options, 'io.temporal.testserver.TestServer', String(port)], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  try {
    await ctx.until('the time-skipping server', startsWithinSeconds, async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect').finally(() => socket.destroy());
    });
  } finally {
    server.kill();
    await ended;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
