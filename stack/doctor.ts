import { statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { runCommand } from './commands';
import { defaultCacheDir } from './context';
import { missingPackages } from './debian';
import { isRoot } from './system-users';

export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, or how to get it. */
  readonly detail: string;
}

/** The Debian packages that the servers are made of. */
export const serverPackages = [
  'postgresql-15',
  'postgresql-client-15',
  'redis-server',
  'redis-tools',
  'rabbitmq-server',
] as const;

/** Everything that must be there before the stack can be fetched; never rejects. */
export async function doctor(): Promise<readonly Finding[]> {
  const program = async (name: string, args: readonly string[], remedy: string): Promise<Finding> =>
    runCommand(name, args).then(
      (output) => ({ name, ok: true, detail: output.trim().split('\n')[0] ?? '' }),
      () => ({ name, ok: false, detail: remedy }),
    );
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const nodeOk = major > 20 || (major === 20 && minor >= 19);
  const root = isRoot();
  const missing = await missingPackages(serverPackages).catch(() => [...serverPackages]);
  const memory = totalmem() / 1024 ** 3;
  const disk = await statfs('/').then(
    ({ bavail, bsize }) => (bavail * bsize) / 1024 ** 3,
    () => 0,
  );
  return [
    {
      name: 'node',
      ok: nodeOk,
      detail: nodeOk ? process.versions.node : `${process.versions.node} is too old: 20.19 or newer`,
    },
    await program('python3', ['--version'], 'apt-get install python3 python3-venv'),
    await runCommand('python3', ['-c', 'import ensurepip, venv']).then(
      () => ({ name: 'python3 venv', ok: true, detail: 'found' }),
      () => ({ name: 'python3 venv', ok: false, detail: 'apt-get install python3-venv' }),
    ),
    await program('git', ['--version'], 'apt-get install git'),
    await program('openssl', ['version'], 'apt-get install openssl'),
    {
      name: 'Debian packages',
      ok: missing.length === 0 || root,
      detail:
        missing.length === 0
          ? 'all found'
          : root
            ? `${missing.join(', ')}: will be installed`
            : `sudo apt-get install --no-install-recommends ${missing.join(' ')}`,
    },
    {
      name: 'memory',
      ok: memory >= 6,
      detail: `${memory.toFixed(1)} GiB${memory >= 6 ? '' : ': at least 6 are needed'}`,
    },
    {
      name: 'disk',
      ok: disk >= 6,
      detail: `${disk.toFixed(0)} GiB free${disk >= 6 ? '' : `: at least 6 are needed, the cache is ${defaultCacheDir()}`}`,
    },
  ];
}
