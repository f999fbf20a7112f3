#!/usr/bin/env node
// `npm test`: the tests on real servers, static checks beside them in the time that they leave, then one line with the counts.
//   npm test -- --only static|unit|system   a part    --keep   leave the servers up    --port-offset N
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo, homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const flag = (name) => process.argv.includes(`--${name}`);
const option = (name) =>
  process.argv.includes(`--${name}`) ? process.argv[process.argv.indexOf(`--${name}`) + 1] : undefined;
const only = option('only');
const scratch = mkdtempSync(join(tmpdir(), 'aats-test-'));
let passed = 0;
/** What failed, by name: said once more at the end, where who has the last lines only still reads it. */
const failures = [];
const children = new Set();

function run(name, command, args, { quiet = true, env = {} } = {}) {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, FORCE_COLOR: '0', ...env },
    });
    children.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => (output += error.message));
    child.on('close', (code) => {
      children.delete(child);
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      if (quiet) console.log(`${code === 0 ? '✓' : '✗'} ${name}  ${seconds} s`);
      if (quiet && code !== 0) console.log(output.split('\n').slice(-80).join('\n'));
      resolve(code === 0);
    });
  });
}
function count(ok, name) {
  if (ok) passed += 1;
  else fail(name);
}
function fail(...names) {
  failures.push(...names);
}

async function staticChecks() {
  const node = process.execPath;
  const bin = (path) => join('node_modules', path);
  const generated = join(scratch, 'generated');
  const checks = [
    // The build of `pretest` has checked all of them; its record is read again here, and what is newer checked.
    ['types', [node, bin('typescript/bin/tsc'), '-b']],
    [
      'import rules',
      [
        node,
        bin('dependency-cruiser/bin/dependency-cruise.mjs'),
        '--config',
        '.dependency-cruiser.cjs',
        'workflows',
        'activities',
        'workers',
        'services',
        'agents',
        'cli',
        'stack',
        'bench',
        'test',
      ],
    ],
    ['lint', [node, bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0']],
    ['format', [node, bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']],
    ['protobuf lint', [node, bin('@bufbuild/buf/bin/buf'), 'lint']],
    [
      'generated code',
      [
        'sh',
        '-c',
        `PATH=node_modules/.bin:$PATH; buf generate -o '${generated}' && cd '${generated}/proto' && find . -name '*_pb.ts' | while read f; do cmp "$f" '${root}/proto/'"$f" || exit 1; done`,
      ],
    ],
  ];
  for (const [name, check] of checks) count(await run(name, 'nice', ['-n', '19', ...check]), name);
}

async function jest(name, projects, extra = [], env = {}) {
  const file = join(scratch, `${name}.json`);
  const ok = await run(
    name,
    process.execPath,
    [
      'node_modules/jest/bin/jest.js',
      '--selectProjects',
      ...projects,
      '--json',
      '--outputFile',
      file,
      '--forceExit',
      '--passWithNoTests',
      ...extra,
    ],
    { quiet: false, env },
  );
  try {
    const result = JSON.parse(readFileSync(file, 'utf8'));
    passed += result.numPassedTests;
    const before = failures.length;
    for (const { name: path, status, assertionResults } of result.testResults) {
      const suite = relative(root, path);
      const tests = assertionResults.filter((test) => test.status === 'failed');
      fail(...tests.map(({ fullName }) => `${suite}: ${fullName}`));
      if (status === 'failed' && tests.length === 0) fail(`${suite}: failed outside of its tests`);
    }
    // jest is content with a suite that ran nothing; we are not.
    if (!ok && failures.length === before) fail(`${name}: jest failed outside of its tests`);
  } catch {
    fail(`${name}: jest left no result`);
  }
}

const free = (port) =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
async function freeOffset() {
  // Two clones may test at once: the first offset whose every port is free.
  const base = [
    7233, 5432, 27017, 7687, 7474, 7473, 6379, 6384, 9092, 8081, 5672, 15672, 50060, 50061, 50062, 8090, 8091, 8092,
    8093, 8094, 8095, 16379, 8233, 7234, 4369, 25672, 15692, 9999, 19093, 27018, 8082,
  ];
  for (let offset = 12000; offset <= 14000; offset += 100) {
    if ((await Promise.all(base.map((port) => free(port + offset)))).every(Boolean)) return offset;
  }
  throw new Error('no port offset between 12000 and 14000 is free; give one with --port-offset N');
}

const offset = Number(option('port-offset') ?? (await freeOffset()));
const dataDir =
  option('data-dir') ??
  join(userInfo().uid === 0 ? '/var/lib/aats' : join(homedir(), '.local/share/aats'), `test-${offset}`);
const stack = (...args) => [
  process.execPath,
  'dist/stack/main.js',
  ...args,
  '--port-offset',
  String(offset),
  '--data-dir',
  dataDir,
];
const env = { AATS_STACK_FILE: join(dataDir, 'run', 'stack.json'), AATS_DATA_DIR: dataDir };

let ending = false;
async function end() {
  if (ending) return;
  ending = true;
  for (const child of children) child.kill('SIGTERM');
  if (only !== 'static' && !flag('keep')) {
    const [command, ...args] = stack('down');
    await run('servers stopped', command, args);
  }
  rmSync(scratch, { recursive: true, force: true });
  if (failures.length > 0) console.log(['', 'Failed:', ...failures.map((name) => `  ${name}`)].join('\n'));
  if (failures.length > 0 && only !== 'static')
    console.log(`\nLogs of the servers and services: ${join(dataDir, 'logs')}`);
  console.log(`\n${passed} passed, ${failures.length} failed`);
  process.exit(failures.length > 0 || passed === 0 ? 1 : 0);
}
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    fail('stopped by a signal');
    void end();
  });

const servers =
  only === 'static'
    ? Promise.resolve(true)
    : run('servers up', ...(([c, ...a]) => [c, a])(stack('up')), { quiet: true });
const checked = only === undefined || only === 'static' ? staticChecks() : Promise.resolve();
// What tests need beside the servers is fetched before any of them waits for it.
const fetched =
  only === 'static' ||
  (await run(
    'test tools fetched',
    process.execPath,
    [
      '-e',
      "require('./dist/stack/context').createStackContext({ dataDir: process.env.AATS_DATA_DIR }).then((ctx) => Promise.all([require('./dist/stack/time-skipping').timeSkippingServer(ctx), require('./dist/stack/chromium').ensureChromium(ctx)])).catch((error) => { console.error(error.message); process.exit(1); })",
    ],
    { env },
  ));
if ((await servers) && fetched) {
  if (only === undefined || only === 'unit')
    await jest('unit', ['workflows', 'replay', 'activities', 'stores', 'services'], [], env);
  if (only === undefined || only === 'system') await jest('system', ['system'], ['--runInBand', '--verbose'], env);
} else {
  fail('the servers or the tools of the tests did not come up');
}
await checked;
await end();
