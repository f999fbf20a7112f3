import type { StackContext } from './server';

/** Debian's Chromium, for the browser test alone; gives its path. Idempotent. */
export async function ensureChromium(ctx: StackContext): Promise<string> {
  await ctx.debian(['chromium']);
  return '/usr/bin/chromium';
}
