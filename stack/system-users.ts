import { runCommand } from './commands';
import type { SystemUser } from './server';

export const isRoot = (): boolean => process.getuid?.() === 0;

/** A user without home, shell or password, with a group of the same name; made if there is none. Needs root. */
export async function ensureSystemUser(name: string): Promise<SystemUser> {
  const found = async (): Promise<SystemUser> => ({
    uid: Number(await runCommand('id', ['-u', name])),
    gid: Number(await runCommand('id', ['-g', name])),
    name,
  });
  try {
    return await found();
  } catch {
    await runCommand('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--home-dir',
      '/nonexistent',
      '--shell',
      '/usr/sbin/nologin',
      name,
    ]);
    return found();
  }
}

/** Whether a user may run a program: one under root's home, say, is closed to others. */
export const mayRun = ({ name }: SystemUser, program: string): Promise<boolean> =>
  runCommand('setpriv', ['--reuid', name, '--regid', name, '--clear-groups', '--', 'test', '-x', program]).then(
    () => true,
    () => false,
  );
