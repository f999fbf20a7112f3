import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import * as tar from 'tar';

/** The example's project. */
export const exampleProject = join(__dirname, 'project');

/** A project's folder as the plan's input: a gzipped archive, the same bytes for the same files. */
export async function packProject(folder: string): Promise<{ readonly artifact: string; readonly bytes: Buffer }> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = found
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !/(^|\/)(node_modules|\.git)\//.test(path))
    .sort();
  const parts: Buffer[] = [];
  // One time for all files, in one order: a fresh clone must give the same archive.
  const options = { cwd: folder, gzip: true, portable: true, noDirRecurse: true, mtime: new Date(0) };
  for await (const part of tar.c(options, files)) parts.push(part);
  const bytes = Buffer.concat(parts);
  return { artifact: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes };
}
