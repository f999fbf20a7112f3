import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of package.json, seen from the sources and from `dist/` alike. */
export const packageRoot = ((): string => {
  let dir = __dirname;
  while (!existsSync(join(dir, 'package.json'))) dir = dirname(dir);
  return dir;
})();
