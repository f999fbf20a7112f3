import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dependencyReviewCapabilities } from '../../agents/dependency-review/capabilities';
import type { Comparison } from '../../agents/dependency-review/compare';
import type { Outdated } from '../../agents/dependency-review/inventory';
import type { TestResult } from '../../agents/dependency-review/run-tests';
import { exampleProject, packProject } from '../../examples/dependency-review/pack';
import type { ArtifactReference } from '../../workflows/contracts/json';
import { createDesk, type Desk } from '../support/work';

/** The example's own project, the registry npm is set up with, and nothing prepared. */
describe('dependency review', () => {
  let desk: Desk;
  let project: ArtifactReference;
  let run: <T>(capability: string, input: object) => Promise<T>;

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
    const { outdated } = await run<{ outdated: Outdated[] }>('npm-inventory', { project });
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
  }, 60_000);

  it('tells a harmless upgrade from one that breaks', async () => {
    const patch = await run<Comparison>('npm-compare', { name: 'ms', from: '2.1.2', to: '2.1.3' });
    expect(patch).toMatchObject({ risk: 'low', reasons: [] });
    expect(patch.summary).toMatch(/^patch version; files: \d+ changed, 0 added, 0 removed; .*licence MIT/);
    const major = await run<Comparison>('npm-compare', { name: 'chalk', from: '4.1.2', to: '5.0.0' });
    expect(major.risk).toBe('high');
    expect(major.reasons).toEqual(expect.arrayContaining(['is an ES module only, and was not', 'a major version']));
    await expect(run('npm-compare', { name: 'ms', from: '2.1.2', to: '99.0.0' })).rejects.toMatchObject({
      type: 'PackageNotFound',
      retryable: false,
    });
  }, 60_000);

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
  }, 60_000);

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

  it('reports worst first, and what failed', async () => {
    const changes = [
      { name: 'a', from: '1.0.0', to: '1.0.1', risk: 'low', reasons: [], summary: 'fine' },
      { name: 'b', to: '2.0.0', risk: 'high', reasons: ['a <script>'], summary: 'not *fine*' },
      null,
    ];
    const tests = [
      { name: 'a', passed: true },
      { name: 'b', passed: false, problem: '```\nboom' },
    ];
    const { markdown } = await run<{ markdown: ArtifactReference }>('dependency-report', { changes, tests });
    const text = desk.contentOf(markdown).toString();
    expect(text.indexOf('## b')).toBeLessThan(text.indexOf('## a'));
    expect(text).toContain('| b |  | 2.0.0 | high | failed |');
    expect(text).toContain('a \\<script\\>');
    expect(text).toContain('````text\n```\nboom\n````');
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
