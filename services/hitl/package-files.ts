import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where package.json lies: the same from the sources and from the compiler's output. */
export const packageRoot = ((): string => {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

export const version = (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string })
  .version;
