import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { StackContext } from './server';

export interface GoProgram {
  readonly name: string;
  readonly module: string;
  readonly version: string;
  /** Package of the program inside the module. */
  readonly main: string;
  /** Files that the module lacks and its build needs. */
  readonly files?: Readonly<Record<string, string>>;
  /** Build tags, for parts that are not needed here and would take long to compile. */
  readonly tags?: readonly string[];
  /** What its code must say differently, by file: each text is replaced once, and its absence fails the build. */
  readonly edits?: Readonly<Record<string, readonly [text: string, replacement: string]>>;
}

/**
 * Builds a Go program of a pinned module version from the module proxy, checksums verified by Go itself; gives the
 * path of the binary. The module is copied out of the read-only module cache so that missing files can be added.
 */
export async function buildGoProgram(ctx: StackContext, program: GoProgram): Promise<string> {
  const edits = Object.entries(program.edits ?? {});
  const tags = program.tags ?? [];
  // A binary of other code is another one in the cache.
  const changed = createHash('sha256')
    .update(JSON.stringify([edits, tags]))
    .digest('hex')
    .slice(0, 8);
  const version = edits.length + tags.length === 0 ? program.version : `${program.version}-${changed}`;
  const dir = await ctx.cached(program.name, version, async (target) => {
    const { go } = await ctx.python();
    const env = {
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-mod=mod',
      CGO_ENABLED: '0',
      GOPATH: join(ctx.cacheDir, 'go'),
      GOCACHE: join(ctx.cacheDir, 'go', 'build'),
    };
    const source = join(target, 'source');
    await mkdir(source, { recursive: true });
    await writeFile(join(source, 'go.mod'), `module build\n\nrequire ${program.module} ${program.version}\n`);
    const download = await ctx.run(go, ['mod', 'download', '-json', `${program.module}@${program.version}`], {
      cwd: source,
      env,
      timeoutSeconds: 600,
    });
    const { Dir: cached } = JSON.parse(download.slice(download.indexOf('{'))) as { Dir: string };
    const work = join(target, 'module');
    await cp(cached, work, { recursive: true });
    await ctx.run('chmod', ['-R', 'u+w', work]);
    for (const [path, content] of Object.entries(program.files ?? {})) {
      await mkdir(dirname(join(work, path)), { recursive: true });
      await writeFile(join(work, path), content);
    }
    for (const [path, [text, replacement]] of edits) {
      const before = await readFile(join(work, path), 'utf8');
      if (!before.includes(text))
        throw new Error(`${program.name} ${program.version} has another ${path} than expected`);
      await writeFile(join(work, path), before.replace(text, replacement));
    }
    await ctx.run(
      go,
      [
        'build',
        '-trimpath',
        ...(tags.length > 0 ? ['-tags', tags.join(',')] : []),
        '-ldflags',
        '-s -w',
        '-o',
        join(target, program.name),
        program.main,
      ],
      { cwd: work, env, timeoutSeconds: 1200 },
    );
    await ctx.run('rm', ['-rf', source, work]);
    await ctx.run('chmod', ['-R', 'a+rX', target]);
  });
  return join(dir, program.name);
}
