import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tar from 'tar';
import { dependencyReviewCapabilities } from '../../agents/dependency-review/capabilities';
import type { Comparison, Evidence } from '../../agents/dependency-review/compare';
import type { Inventory, Outdated } from '../../agents/dependency-review/inventory';
import type { TestResult } from '../../agents/dependency-review/run-tests';
import { exampleProject, packProject } from '../../examples/dependency-review/pack';
import type { ArtifactReference } from '../../workflows/contracts/json';
import { createDesk, type Desk } from '../support/work';

/** The example's own project, the registry npm is set up with, and nothing prepared. */
describe('dependency review', () => {
  let desk: Desk;
  let project: ArtifactReference;
  let run: <T>(capability: string, input: object) => Promise<T>;
  const documentOf = (reference: ArtifactReference): unknown => JSON.parse(desk.contentOf(reference).toString());
  const keep = (name: string, value: unknown): Promise<ArtifactReference> =>
    desk.keep({ name, mediaType: 'application/json', bytes: Buffer.from(JSON.stringify(value)) });
  /** Packs a project that is the example's with other texts in it. */
  const projectWith = async (
    change: (manifest: { dependencies: Record<string, string>; scripts: Record<string, string> }) => void,
    tests: Readonly<Record<string, string>> = {},
  ): Promise<ArtifactReference> => {
    const folder = join(desk.base, `project-${Date.now()}`);
    await cp(exampleProject, folder, { recursive: true, filter: (path) => !path.includes('node_modules') });
    const file = join(folder, 'package.json');
    const manifest = JSON.parse(await readFile(file, 'utf8')) as Parameters<typeof change>[0];
    change(manifest);
    await writeFile(file, JSON.stringify(manifest));
    for (const [name, text] of Object.entries(tests)) await writeFile(join(folder, 'test', name), text);
    const { bytes } = await packProject(folder);
    return desk.keep({ name: 'project.tar.gz', mediaType: 'application/gzip', bytes });
  };

  beforeAll(async () => {
    desk = await createDesk('review-1');
    const { bytes } = await packProject(exampleProject);
    project = await desk.keep({ name: 'project.tar.gz', mediaType: 'application/gzip', bytes });
    const { PATH = '', HOME = '' } = process.env;
    const npmSettings = Object.entries(process.env).filter(([name]) => /^npm_config_/i.test(name));
    const capabilities = dependencyReviewCapabilities({
      repositories: join(desk.base, 'repositories'),
      publications: join(desk.base, 'publications'),
      npmEnvironment: { ...(Object.fromEntries(npmSettings) as Record<string, string>), PATH, HOME },
      path: PATH,
    });
    run = async <T>(name: string, input: object) => {
      const found = capabilities.find((capability) => capability.name === name);
      return (await found?.run(input, await desk.work())) as T;
    };
  });
  afterAll(() => desk.remove());

  it('packs the same archive for the same files', async () => {
    expect((await packProject(exampleProject)).artifact).toBe(project.artifact);
  });

  it('finds what is outdated, and only that', async () => {
    const { outdated, inventory } = await run<{ outdated: Outdated[]; inventory: ArtifactReference }>('npm-inventory', {
      project,
    });
    const all = documentOf(inventory) as Inventory;
    expect(all).toMatchObject({ project: { name: 'release-notes' }, outdated, left: [], skipped: [] });
    expect(outdated.length + all.upToDate.length).toBe(15);
    const names = outdated.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['chalk', 'semver', 'picocolors', 'minimist']));
    expect(outdated.find(({ name }) => name === 'semver')).toMatchObject({ current: '7.5.4' });
    const locked = JSON.parse(await readFile(join(exampleProject, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version?: string }>;
    };
    for (const { name, current, latest } of outdated) {
      expect(locked.packages[`node_modules/${name}`]?.version).toBe(current);
      expect(latest).not.toBe(current);
    }
  }, 240_000);

  it('tells a harmless upgrade from one that breaks', async () => {
    const patch = await run<Comparison>('npm-compare', { name: 'ms', from: '2.1.2', to: '2.1.3' });
    expect(patch.risk).toBe('low');
    expect(patch.summary).toMatch(/^patch version; files: \d+ changed; .*licence MIT/);
    expect(documentOf(patch.evidence)).toMatchObject({
      reasons: [],
      before: { licence: 'MIT', modules: 'CommonJS', installScripts: {} },
      undetermined: expect.arrayContaining(['its public API: it ships no type declarations']) as string[],
    });
    const major = await run<Comparison>('npm-compare', { name: 'chalk', from: '4.1.2', to: '5.0.0' });
    expect(major.risk).toBe('high');
    const { reasons, difference, declarations, after } = documentOf(major.evidence) as Evidence;
    expect(reasons).toEqual(expect.arrayContaining(['is an ES module only, and was not', 'a major version']));
    expect(after.modules).toBe('ES modules');
    expect(difference.api?.removed).toEqual(['module.exports']);
    expect(declarations).toMatchObject({ 'module.exports': [expect.stringContaining('chalk'), ''] });
    await expect(run('npm-compare', { name: 'ms', from: '2.1.2', to: '99.0.0' })).rejects.toMatchObject({
      type: 'PackageNotFound',
      retryable: false,
    });
  }, 240_000);

  it('refuses names and versions that would be options or paths', async () => {
    for (const wrong of [
      { name: '--registry=x' },
      { name: '../x' },
      { name: 'a b' },
      { to: '1.x' },
      { to: '../1.0.0' },
    ]) {
      const input = { name: 'ms', from: '2.1.2', to: '2.1.3', ...wrong };
      await expect(run('npm-compare', input)).rejects.toMatchObject({ type: 'InvalidInput' });
    }
  });

  it('runs the tests of the project with an upgrade', async () => {
    const test = (name: string, to: string): Promise<TestResult> =>
      run('npm-test', { project, upgrades: [{ name, to }], timeoutSeconds: 60 });
    expect(await test('ms', '2.1.3')).toMatchObject({ name: 'ms', passed: true, problem: '' });
    const red = await test('chalk', '5.0.0');
    expect(red).toMatchObject({ name: 'chalk', passed: false });
    expect(red.problem).toContain('chalk.Instance is not a constructor');
    expect(desk.contentOf(red.log).toString()).toContain('not ok');
  }, 240_000);

  it('applies upgrades on a branch, tests it, and removes it', async () => {
    const branch = 'aats/upgrades-review-1';
    const upgrades = [
      { name: 'ms', to: '2.1.3' },
      { name: 'minimist', to: '1.2.8' },
    ];
    interface Applied {
      readonly branch: string;
      readonly diff: ArtifactReference;
    }
    const applied = await run<Applied>('npm-apply', { project, branch, upgrades });
    expect(await run<Applied>('npm-apply', { project, branch, upgrades })).toEqual(applied);
    const diff = desk.contentOf(applied.diff).toString();
    expect(diff).toContain('-    "ms": "2.1.2"');
    expect(diff).toContain('+    "ms": "2.1.3"');
    expect(await run('npm-test', { project, branch, failWhenRed: true })).toMatchObject({ name: branch, passed: true });
    // What the tests may write to shares nothing with the repository.
    const objects = join(desk.base, 'repositories', 'review-1.git', 'objects');
    const kept = await readdir(objects, { recursive: true, withFileTypes: true });
    const links = kept.filter((one) => one.isFile()).map((one) => statSync(join(one.parentPath, one.name)).nlink);
    expect(new Set(links)).toEqual(new Set([1]));

    await run('npm-apply', { project, branch, upgrades: [{ name: 'chalk', to: '5.0.0' }] });
    await expect(run('npm-test', { project, branch, failWhenRed: true })).rejects.toMatchObject({
      type: 'TestsFailed',
      retryable: false,
    });
    expect(await run('git-delete-branch', { project, branch })).toEqual({ branch, deleted: true });
    expect(await run('git-delete-branch', { project, branch })).toEqual({ branch, deleted: false });
    await expect(run('npm-test', { project, branch })).rejects.toMatchObject({ type: 'BranchNotFound' });
  }, 90_000);

  it.each(['main', '-x', 'a..b', 'a b', '../../x'])('refuses the branch name %s', async (branch) => {
    await expect(run('npm-apply', { project, branch, upgrades: [] })).rejects.toMatchObject({ type: 'InvalidInput' });
  });

  it('takes versions that npm refuses to put together for red, and not for a failure of its own', async () => {
    const strict = await projectWith((manifest) => {
      manifest.dependencies['eslint-config-prettier'] = '9.1.0';
      manifest.dependencies['eslint'] = '6.8.0';
    });
    const input = { project: strict, timeoutSeconds: 60 };
    // The lock file does not hold what package.json asks for.
    expect(await run<TestResult>('npm-test', input)).toMatchObject({ passed: false, ran: false });
    const result = await run<TestResult>('npm-test', { ...input, upgrades: [{ name: 'ms', to: '2.1.3' }] });
    expect(result).toMatchObject({ name: 'ms', passed: false, ran: false });
    expect(result.problem).toContain('Could not resolve dependency');
  }, 90_000);

  it('shows the tests nothing of the agent, and refuses what is no dependency of the project', async () => {
    process.env['AATS_TEST_SECRET'] = 'hunter2';
    const nosy = await projectWith(
      ({ scripts }) => {
        scripts['postinstall'] = 'exit 1';
      },
      {
        'nosy.test.js': `require('node:test').test('is alone', () => {
          const names = Object.keys(process.env).filter((name) => /aats|token|secret/i.test(name));
          require('node:assert').deepEqual(names, ['AATS_RUN']);
        });`,
      },
    );
    expect(await run<TestResult>('npm-test', { project: nosy })).toMatchObject({ passed: true });
    await expect(
      run('npm-apply', { project, branch: 'b', upgrades: [{ name: 'is-odd', to: '3.0.1' }] }),
    ).rejects.toMatchObject({ type: 'InvalidInput', message: 'is-odd is no dependency of the project' });
  }, 90_000);

  it('runs nothing of the archive as the agent, whatever settings of npm and git it brings', async () => {
    const marker = join(desk.base, 'ran');
    const folder = join(desk.base, 'hostile');
    const tool = (cwd: string, program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const git = (cwd: string, ...args: string[]): string =>
      tool(cwd, 'git', '-c', 'user.name=x', '-c', 'user.email=x@localhost', ...args);
    const repositoryWith = async (path: string, manifest: object): Promise<void> => {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, 'package.json'), JSON.stringify(manifest));
      git(path, 'init', '--quiet');
      git(path, 'add', '.');
      git(path, 'commit', '--quiet', '--message', 'x');
    };
    await repositoryWith(join(desk.base, 'elsewhere'), { name: 'elsewhere', version: '1.0.0' });
    await repositoryWith(join(folder, 'vendor', 'inner'), { name: 'inner' });
    git(join(folder, 'vendor', 'inner'), 'config', 'core.fsmonitor', `touch ${marker}-git; false`);
    const dependencies = { ms: '2.1.2', elsewhere: `git+file://${desk.base}/elsewhere` };
    const test = `node -e "require('assert').equal(require('ms/package.json').version, '2.1.3')"`;
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'hostile', dependencies, scripts: { test } }));
    tool(folder, 'npm', 'install', '--package-lock-only', '--no-audit');
    await writeFile(join(folder, 'git'), `#!/bin/sh\ntouch ${marker}-npm\nexec git "$@"\n`, { mode: 0o755 });
    await writeFile(join(folder, '.npmrc'), 'git=./git\nglobal=true\nlocation=global\nforce=true\n');
    const file = join(desk.base, 'hostile.tgz');
    await tar.c({ cwd: folder, file, gzip: true }, ['.']);
    const hostile = await desk.keep({
      name: 'hostile.tgz',
      mediaType: 'application/gzip',
      bytes: await readFile(file),
    });

    const upgrades = [{ name: 'ms', to: '2.1.3' }];
    expect(await run<TestResult>('npm-test', { project: hostile, upgrades })).toMatchObject({ passed: true });
    await run('npm-apply', { project: hostile, branch: 'b', upgrades });
    expect(readdirSync(desk.base).filter((name) => name.startsWith('ran'))).toEqual([]);
  }, 90_000);

  describe('report', () => {
    const inventory = (more: Partial<Inventory> = {}): Promise<ArtifactReference> =>
      keep('inventory.json', {
        project: { name: 'p', version: '1.0.0' },
        node: '20.0.0',
        npm: '11.0.0',
        outdated: [
          { name: 'a', current: '1.0.0', latest: '1.0.1' },
          { name: 'b', current: '1.0.0', latest: '2.0.0' },
          { name: 'c', current: '0.1.0', latest: '0.1.1' },
        ],
        upToDate: [{ name: 'd', current: '3.0.0' }],
        left: [],
        skipped: [],
        ...more,
      } satisfies Inventory);
    const facts = { files: 3, bytes: 1000, licence: 'MIT', node: '*', modules: 'CommonJS' as const };
    const evidence = (name: string, to: string, more: Partial<Evidence>): Promise<ArtifactReference> =>
      keep('evidence.json', {
        ...{ name, from: '1.0.0', to, risk: 'low', reasons: [], declarations: {}, undetermined: [] },
        before: { ...facts, installScripts: {}, dependencies: {} },
        after: { ...facts, installScripts: {}, dependencies: {} },
        difference: {
          ...{ jump: 'patch', size: [1000, 1000], licence: ['MIT', 'MIT'], engines: ['*', '*'], becameModule: false },
          ...{ files: { added: [], removed: [], changed: [] }, installScripts: [], newDependencies: [] },
          ...{ newMaintainers: [], lostMaintainers: [] },
        },
        ...more,
      } satisfies Evidence);
    const result = (name: string, more: Partial<TestResult> = {}): Promise<TestResult> =>
      keep('test.log', '').then((log) => ({
        name,
        passed: true,
        ran: true,
        milliseconds: 1200,
        problem: '',
        log,
        ...more,
      }));
    const write = async (review: object, more: object = {}): Promise<string> => {
      const empty = { comparisons: [], tests: [], baseline: null, unfinished: [] };
      const { markdown } = await run<{ markdown: ArtifactReference }>('dependency-report', {
        review: { ...empty, inventory: await inventory(), ...review },
        ...more,
      });
      return desk.contentOf(markdown).toString();
    };

    it('puts first what needs eyes, with reasons, and says what was not found out', async () => {
      const text = await write({
        comparisons: [
          await evidence('a', '1.0.1', {}),
          await evidence('b', '2.0.0', {
            risk: 'high',
            reasons: ['runs a new or changed install script: a <script>'],
            undetermined: ['who maintains it: the registry does not tell'],
            declarations: { f: ['function f(): void', ''] },
          }),
        ],
        tests: [await result('a'), await result('b', { passed: false, problem: '```\nboom' })],
        baseline: await result('the project as given'),
        unfinished: [{ name: 'c', step: 'the comparison', problem: 'ArchiveRefused *x*' }],
      });
      expect(text).toContain('Of 4 direct dependencies **3** are outdated: 1 of high risk, 1 of low risk.');
      expect(text).toContain("The project's own tests pass before any upgrade (1.2 s). They pass with 1 of the 3");
      expect(text).toContain('of its own; with 1 they were not run.');
      expect(text).toContain('Advice: **take** a; **hold** b, c.');
      expect(text).toContain('| b | 1.0.0 | 2.0.0 | patch | high | FAIL | hold | the tests fail with it |');
      expect(text).toContain('| c | 0.1.0 | 0.1.1 | ? | not known | not run | hold | could not be compared |');
      expect(text.indexOf('### b')).toBeLessThan(text.indexOf('### a'));
      expect(text).toContain('- c: the comparison failed. ArchiveRefused \\*x\\*');
      expect(text).toContain('- Who maintains it: the registry does not tell (b).');
      expect(text).toContain('a \\<script\\>');
      expect(text).toContain('````text\n```\nboom\n````');
      expect(text).toContain('@@ f @@\n- function f(): void');
    });

    it('advises nothing blindly when the tests were red before', async () => {
      const text = await write({
        comparisons: [await evidence('a', '1.0.1', {})],
        tests: [await result('a')],
        baseline: await result('the project as given', { passed: false }),
      });
      expect(text).toContain("The project's own tests **fail** before any upgrade");
      expect(text).toContain('**look** a');
    });

    it('is short when nothing is outdated', async () => {
      const text = await write({ inventory: await inventory({ outdated: [] }) });
      expect(text).toContain('Of 1 direct dependency none is outdated.');
      expect(text).not.toContain('| package |');
    });

    it('ends with what a person chose, or did not', async () => {
      const applied = {
        branch: 'aats/x',
        commit: '0123456789abcdef',
        diff: await keep('x.diff', ''),
        upgrades: await keep('upgrades.json', [{ name: 'a', from: '1.0.0', to: '1.0.1' }]),
      };
      const rest = { tests: await result('aats/x'), declined: null };
      const took = await write({}, { conclusion: { ...rest, applied } });
      expect(took).toContain('1 of 3 upgrades were chosen and are on the branch `aats/x`, commit `0123456789ab`.');
      expect(took).toContain('With all of them together the tests pass (1.2 s).');
      const declined = { type: 'Rejected', message: 'not before the holidays' };
      const left = await write({}, { conclusion: { applied: null, tests: null, declined } });
      expect(left).toContain('Nothing is applied. Rejected: not before the holidays');
    });
  });

  it('publishes documents with an index, and again to the same folder', async () => {
    const bytes = Buffer.from('# Report');
    const artifacts = [
      await desk.keep({ name: '../report.md', mediaType: 'text/markdown', bytes }),
      await desk.keep({ name: 'report.md', mediaType: 'text/markdown', bytes }),
    ];
    for (const published of [
      await run('publish-artifacts', { artifacts }),
      await run('publish-artifacts', { artifacts }),
    ]) {
      expect(published).toMatchObject({ files: ['1-.._report.md', '2-report.md'] });
    }
    const folder = join(desk.base, 'publications', 'review-1');
    expect(readdirSync(folder).sort()).toEqual(['1-.._report.md', '2-report.md', 'index.json']);
    expect(existsSync(join(desk.base, 'publications', 'report.md'))).toBe(false);
  });
});
