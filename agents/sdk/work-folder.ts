import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The folder for an agent's attempts, without those that a killed process left behind. Programs that run as another user
 * get through it to theirs, whatever the umask is and whoever made it before. They see no names of others', though all
 * programs run as one user: who guesses a name may read there.
 */
export async function emptyWorkFolder(dataDir: string, agentId: string): Promise<string> {
  const all = join(dataDir, 'work');
  const folder = join(all, agentId);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const path of [all, folder]) await chmod(path, 0o711);
  return folder;
}
