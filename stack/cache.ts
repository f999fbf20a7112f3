import { mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startTime } from './supervisor';

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/**
 * Makes one artefact of the cache exactly once: `<cache>/<name>/<version>`, whole when `.complete` stands in it.
 * An interrupted build is thrown away and begun again; builders of other processes are waited for.
 */
export async function cachedArtefact(
  cacheDir: string,
  name: string,
  version: string,
  build: (dir: string) => Promise<void>,
): Promise<string> {
  const dir = join(cacheDir, name, version);
  const complete = join(dir, '.complete');
  if (await exists(complete)) return dir;
  await mkdir(join(cacheDir, name), { recursive: true });
  return withLock(join(cacheDir, name, `${version}.lock`), async () => {
    if (await exists(complete)) return dir;
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true });
    await build(dir);
    await writeFile(complete, '');
    return dir;
  });
}

/**
 * Runs while holding a lock file that names the holder by pid and start time; a lock whose holder is gone is taken
 * over, so that a killed run never blocks the next one. A living holder is waited for, or `refusal` is thrown at once.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  refusal?: (holder: number) => Error,
): Promise<T> {
  const me = `${process.pid} ${startTime(process.pid) ?? ''}`;
  for (;;) {
    try {
      const file = await open(path, 'wx', 0o644);
      await file.writeFile(me);
      await file.close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = await readFile(path, 'utf8').catch(() => '');
      const [pid = '', started] = holder.split(' ');
      // An empty lock is one that is being written, or whose writer died at once: give it a moment.
      const age = await stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      const alive = holder === '' ? age < 2_000 : startTime(Number(pid)) === started;
      if (!alive) await rm(path, { force: true });
      else if (refusal && holder !== '') throw refusal(Number(pid));
      else await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}
