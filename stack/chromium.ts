import { access } from 'node:fs/promises';
import type { StackContext } from './server';

const program = '/usr/bin/chromium';

/** Debian's Chromium, for the tests of the page; installed when it is missing. Gives the program's path. */
export async function ensureChromium(ctx: Pick<StackContext, 'debian'>): Promise<string> {
  await access(program).catch(() => ctx.debian(['chromium', 'fonts-dejavu-core']));
  return program;
}
