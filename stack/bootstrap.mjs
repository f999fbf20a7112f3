// Runs before `npm start`, `npm test` and `npm run stack`: prerequisites, npm packages, build. Plain JavaScript with
// nothing but Node's own modules, since it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const [major, minor] = process.versions.node.split('.').map(Number);

const has = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const needed = [
  ['Node 20.19 or newer', major > 20 || (major === 20 && minor >= 19), `this is ${process.versions.node}`],
  ['npm', has('npm', '--version'), 'comes with Node'],
  ['python3 with venv', has('python3', '-c', 'import ensurepip, venv'), 'apt-get install python3 python3-venv'],
  ['git', has('git', '--version'), 'apt-get install git'],
  ['openssl', has('openssl', 'version'), 'apt-get install openssl'],
];
const missing = needed.filter(([, found]) => !found);
if (missing.length > 0) {
  console.error('■ Not started: something is missing here.\n');
  for (const [name, , remedy] of missing) console.error(`  ${name.padEnd(22)} ${remedy}`);
  process.exit(1);
}

function step(name, command, args) {
  const begun = Date.now();
  const result = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status !== 0) {
    console.error(`■ ${name} failed.\n${result.stdout}${result.stderr}`);
    process.exit(1);
  }
  console.log(`  ✓ ${name.padEnd(24)} ${((Date.now() - begun) / 1000).toFixed(1)} s`);
}

// A stamp with the lock file's digest tells whether the packages are those that the lock file names.
const lock = createHash('sha256')
  .update(readFileSync('package-lock.json'))
  .update(process.versions.modules)
  .digest('hex');
const stamp = join('node_modules', '.aats-installed');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  // Not `npm ci`: it refuses a lock file written where other platforms' optional packages were absent.
  step('npm packages', 'npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save']);
  writeFileSync(stamp, lock);
}
mkdirSync('dist', { recursive: true });
step('built', process.execPath, ['node_modules/typescript/bin/tsc', '-b']);
