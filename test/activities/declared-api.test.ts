import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { publicNames } from '../../agents/dependency-review/declarations';
import { createDesk, type Desk } from '../support/work';

const none = { types: '', typings: '', main: '' };

describe('declared API', () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await createDesk();
  });
  afterAll(() => desk.remove());

  const scan = async (files: Record<string, string>, manifest = {}) => {
    const { folder } = await desk.work();
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return publicNames(folder, { ...none, ...manifest }, Object.keys(files));
  };
  const names = async (...args: Parameters<typeof scan>): Promise<string[]> =>
    [...((await scan(...args))?.keys() ?? [])].sort();

  it('finds every kind of export', async () => {
    const text = `
      // export const commented: 1;
      /* export const also: 1; */
      export declare function f(a: string): void;
      export declare function f(a: number): void;
      export const a: { export: 1 }, url = "// no comment";
      export abstract class C<T> { private x; }
      export type T = { a: 1;
        b: 2 };
      export declare const enum E { A }
      export interface I { m(): void }
      export namespace N { const inner: 1; }
      declare const hidden: 1;
      declare function named(): void;
      export { named as renamed, type I as J };
      export default hidden;
    `;
    expect(await names({ 'index.d.ts': text })).toEqual(
      ['C', 'E', 'I', 'J', 'N', 'T', 'a', 'default', 'f', 'renamed'].sort(),
    );
    expect((await scan({ 'index.d.ts': text }))?.get('renamed')).toContain('function named(): void');
  });

  it('follows re-exports within the package, also in a circle', async () => {
    const files = {
      'lib/main.d.ts': `export * from './a.js'; export { b as c } from "./b"; export * as all from './a'; export * from 'elsewhere';`,
      'lib/a.d.ts': `export const a: 1; export * from './main';`,
      'lib/b/index.d.ts': `export declare const b: 2;`,
    };
    expect(await names(files, { types: './lib/main.d.ts' })).toEqual(['* from elsewhere', 'a', 'all', 'c']);
  });

  it('finds the entry where the manifest or habit puts it', async () => {
    const file = { 'x/y.d.mts': 'export const z: 1;' };
    const exports = { './other': './o.js', '.': { import: { types: './x/y.d.mts', default: './x/y.mjs' } } };
    expect(await names(file, { exports })).toEqual(['z']);
    expect(await names({ 'lib/n.d.ts': 'export = n;' }, { main: './lib/n.js' })).toEqual(['module.exports']);
    expect(await scan({ 'index.js': '' })).toBeUndefined();
  });

  it('sees white space and comments as nothing, and anything else as a change', async () => {
    const before = await scan({ 'index.d.ts': 'export  declare const a:\n  string; // text' });
    const same = await scan({ 'index.d.ts': '/** Doc. */\nexport declare const a: string;' });
    const other = await scan({ 'index.d.ts': 'export declare const a: number;' });
    expect(same).toEqual(before);
    expect(other).not.toEqual(before);
  });
});
