import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from './cache';
import { runCommand } from './commands';
import { isRoot } from './system-users';

/** Those of the packages that are not installed here. */
export async function missingPackages(packages: readonly string[]): Promise<readonly string[]> {
  const states = await Promise.all(
    packages.map((name) => runCommand('dpkg-query', ['-W', '-f=${db:Status-Status}', name]).catch(() => 'missing')),
  );
  return packages.filter((_, index) => states[index] !== 'installed');
}

/**
 * Installs Debian packages once, without letting any of them start a service: the stack starts its own processes on
 * its own data. Needs root; without it, rejects with the command that helps.
 */
export async function installPackages(cacheDir: string, packages: readonly string[]): Promise<void> {
  if ((await missingPackages(packages)).length === 0) return;
  if (!isRoot()) {
    throw new Error(
      `these Debian packages are missing; install them with: sudo apt-get install --no-install-recommends ${packages.join(' ')}`,
    );
  }
  await withLock(join(cacheDir, 'apt.lock'), async () => {
    const missing = await missingPackages(packages);
    if (missing.length === 0) return;
    const policy = '/usr/sbin/policy-rc.d';
    const noServices = '#!/bin/sh\n# Written by AATS for the time of one installation.\nexit 101\n';
    // The machine's own policy stays; one that a killed installation of ours left is removed after this one.
    const ours = !existsSync(policy) || (await readFile(policy, 'utf8')) === noServices;
    if (ours) await writeFile(policy, noServices, { mode: 0o755 });
    try {
      const clusters = '/etc/postgresql-common/createcluster.conf';
      if (!existsSync(clusters)) {
        await mkdir('/etc/postgresql-common', { recursive: true });
        await writeFile(clusters, 'create_main_cluster = false\n');
      }
      const env = { DEBIAN_FRONTEND: 'noninteractive' };
      const install = (): Promise<string> =>
        runCommand(
          'apt-get',
          [
            'install',
            '-y',
            '-q',
            '--no-install-recommends',
            '-o',
            'Dpkg::Options::=--force-confold',
            '-o',
            'DPkg::Lock::Timeout=120',
            ...missing,
          ],
          { env, timeoutSeconds: 900 },
        );
      // Old package lists name versions that are gone: refresh them and try once more.
      await install().catch(async () => {
        await runCommand('apt-get', ['update', '-q'], { env, timeoutSeconds: 300 });
        await install();
      });
    } finally {
      if (ours) await rm(policy, { force: true });
    }
  });
}
