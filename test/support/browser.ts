import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { ensureChromium } from '../../stack/chromium';
import { createStackContext } from '../../stack/context';
import { packageRoot } from '../../stack/package-root';
import { stackFile } from './stack';

// A browser that asks nobody but the page: no updates, no lists, no guesses at what comes next.
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-sync',
  '--no-first-run',
  '--no-pings',
];

export async function openBrowser(): Promise<Browser> {
  const { dataDir, portOffset } = stackFile();
  const executablePath = await ensureChromium(await createStackContext({ dataDir, portOffset }));
  // Chromium's sandbox does not start as root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox', ...quiet] : quiet;
  return chromium.launch({ executablePath, args });
}

/** A person's window. The stack's own authority is not in the browser's store, so its certificate is let through. */
export const openWindow = (browser: Browser, options: { readonly script?: boolean } = {}): Promise<BrowserContext> =>
  browser.newContext({
    ignoreHTTPSErrors: true,
    javaScriptEnabled: options.script ?? true,
    viewport: { width: 1280, height: 900 },
  });

const axe = readFileSync(join(packageRoot, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8');
// Each colour and each width once: colours do not change where things stand, nor widths what colour they have.
const looks = [
  { colours: 'light', width: 1280, name: 'light-1280' },
  { colours: 'dark', width: 360, name: 'dark-360' },
] as const;

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly target: unknown }[] }[];
}

/**
 * What axe finds wrong with the page as it is now (WCAG 2.0 to 2.2 A and AA, best practice), and whether it scrolls
 * sideways, light and wide, dark and narrow. Pictures go to the folder that AATS_SCREENSHOTS names, when it does.
 */
export async function faultsOf(page: Page, name: string): Promise<readonly string[]> {
  const faults: string[] = [];
  const folder = process.env['AATS_SCREENSHOTS'];
  if (folder) mkdirSync(folder, { recursive: true });
  // Evaluated by the debugger, which the page's policy does not bind.
  await page.evaluate(`${axe}; undefined`);
  for (const look of looks) {
    await page.emulateMedia({ colorScheme: look.colours, reducedMotion: 'reduce' });
    await page.setViewportSize({ width: look.width, height: 900 });
    if (folder) await page.screenshot({ path: join(folder, `${name}-${look.name}.png`), fullPage: true });
    if (await scrollsSideways(page)) faults.push(`${look.name}: scrolls sideways`);
    const { violations } = await page.evaluate<AxeResult>(
      `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`,
    );
    for (const { id, nodes } of violations)
      faults.push(`${look.name}: ${id} at ${nodes.map(({ target }) => String(target)).join(' | ')}`);
  }
  // 1280 pixels at 400 % (WCAG 1.4.10).
  await page.setViewportSize({ width: 320, height: 900 });
  if (await scrollsSideways(page)) faults.push('320: scrolls sideways');
  await page.setViewportSize({ width: 1280, height: 900 });
  return faults;
}

const scrollsSideways = (page: Page): Promise<boolean> =>
  page.evaluate<boolean>('document.documentElement.scrollWidth > document.documentElement.clientWidth');
