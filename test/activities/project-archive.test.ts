import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tar from 'tar';
import { ownDependencies, unpack, unpackProject } from '../../agents/dependency-review/project-folder';
import { createDesk, type Desk } from '../support/work';

describe('project archive', () => {
  let desk: Desk;
  let folder: string;
  beforeEach(async () => {
    desk = await createDesk();
    folder = join(desk.base, 'in', 'project');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'package.json'), '{"name":"x","dependencies":{"ms":"*"}}');
  });
  afterEach(() => desk.remove());

  const pack = async (cwd: string, entries: string[], options = {}): Promise<string> => {
    const file = join(desk.base, 'archive.tgz');
    await tar.c({ cwd, file, gzip: true, ...options }, entries);
    return file;
  };
  const refused = (message: RegExp): object => ({
    type: 'ArchiveRefused',
    retryable: false,
    message: expect.stringMatching(message) as string,
  });

  it('refuses a path that leads out of the folder', async () => {
    await writeFile(join(desk.base, 'in', 'evil.txt'), 'x');
    const file = await pack(folder, ['../evil.txt'], { preservePaths: true });
    await expect(unpack(file, join(desk.base, 'out', 'deep'))).rejects.toMatchObject(refused(/leads out/));
    const absolute = await pack('/', [join(folder, 'package.json')], { preservePaths: true });
    await expect(unpack(absolute, join(desk.base, 'out'))).rejects.toMatchObject(refused(/leads out/));
  });

  it('refuses links', async () => {
    await symlink('/etc/passwd', join(folder, 'link'));
    const file = await pack(folder, ['package.json', 'link']);
    await expect(unpack(file, join(desk.base, 'out'))).rejects.toMatchObject(refused(/SymbolicLink/));
  });

  it('refuses what is no archive', async () => {
    const file = join(desk.base, 'archive.tgz');
    await writeFile(file, 'not gzip at all');
    await expect(unpack(file, join(desk.base, 'out'))).rejects.toMatchObject(refused(/cannot be read/));
  });

  it('finds the project at the top or in the one folder', async () => {
    for (const [cwd, entries] of [
      [folder, ['.']],
      [join(desk.base, 'in'), ['project']],
    ] as const) {
      const file = await pack(cwd, [...entries]);
      const project = await desk.keep({ name: 'p.tgz', mediaType: 'application/gzip', bytes: await readFile(file) });
      const found = await unpackProject(await desk.work(), project);
      await expect(ownDependencies(found)).rejects.toMatchObject({
        type: 'ProjectInvalid',
        message: 'There is no package-lock.json',
      });
      const packages = { 'node_modules/ms': { version: '2.1.2' } };
      await writeFile(join(found, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }));
      expect(await ownDependencies(found)).toEqual([{ name: 'ms', current: '2.1.2' }]);
    }
  });

  it('tells which dependencies there is nothing to compare of, and why', async () => {
    const specs = {
      alias: 'npm:ms@2.1.2',
      folder: 'file:../folder',
      git: 'git+https://example.org/x.git',
      hub: 'vercel/ms#main',
      missing: '1.0.0',
      ms: '^2.1.2',
      workspace: '*',
    };
    await writeFile(join(folder, 'package.json'), JSON.stringify({ optionalDependencies: specs }));
    const packages = {
      'node_modules/alias': { version: '2.1.2', name: 'ms' },
      'node_modules/ms': { version: '2.1.2' },
      'node_modules/workspace': { link: true, resolved: 'packages/workspace' },
    };
    await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }));
    expect(await ownDependencies(folder)).toEqual([
      { name: 'alias', why: 'it stands for ms' },
      { name: 'folder', why: 'it comes from elsewhere (file:../folder)' },
      { name: 'git', why: 'it comes from elsewhere (git+https://example.org/x.git)' },
      { name: 'hub', why: 'it comes from elsewhere (vercel/ms#main)' },
      { name: 'missing', why: 'package-lock.json holds no version of it' },
      { name: 'ms', current: '2.1.2' },
      { name: 'workspace', why: 'it comes from elsewhere (*)' },
    ]);
  });
});
