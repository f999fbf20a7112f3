import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `<data>/secrets/<name>`, mode 0600: random, made once, the same for whoever asks at the same time. */
export async function ensureSecret(
  dataDir: string,
  name: string,
): Promise<{ readonly path: string; readonly value: string }> {
  const dir = join(dataDir, 'secrets');
  const path = join(dir, name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    // Hexadecimal: a tool that is given one that begins with a hyphen takes it for an option.
    await writeFile(aside, randomBytes(24).toString('hex'), { mode: 0o600 });
    // A hard link appears whole or not at all, and never over an existing name.
    await link(aside, path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(aside, { force: true });
  }
  return { path, value: await readFile(path, 'utf8') };
}
