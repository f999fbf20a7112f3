import { createHash } from 'node:crypto';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from './package-root';
import type { StackContext } from './server';

/**
 * Class path of a set of jars: `stack/jars/<name>` names them, its lock file holds the SHA-256 of each. Resolved by
 * jgo from the user's own Maven settings; the cache is keyed by the lock file's content.
 */
export async function classPath(ctx: StackContext, name: string): Promise<string> {
  const source = join(packageRoot, 'stack', 'jars', name);
  const lock = await readFile(join(source, 'jgo.lock.toml'));
  const version = createHash('sha256').update(lock).digest('hex').slice(0, 16);
  const dir = await ctx.cached(`jars-${name}`, version, async (target) => {
    for (const file of ['jgo.toml', 'jgo.lock.toml']) await cp(join(source, file), join(target, file));
    const { bin } = await ctx.python();
    await ctx.run(
      join(bin, 'jgo'),
      [
        '--resolver',
        'python',
        '--links',
        'copy',
        '--repo-cache',
        join(ctx.cacheDir, 'maven'),
        '--cache-dir',
        join(ctx.cacheDir, 'jgo'),
        'sync',
      ],
      { cwd: target, timeoutSeconds: 900 },
    );
    await ctx.run('chmod', ['-R', 'a+rX', target]);
  });
  return ['jars', 'modules'].map((folder) => join(dir, '.jgo', folder, '*')).join(':');
}

/** One archive of a Maven repository that is not a jar, its SHA-256 checked, unpacked into the cache. */
export async function archive(
  ctx: StackContext,
  artefact: {
    readonly group: string;
    readonly name: string;
    readonly version: string;
    readonly classifier: string;
    readonly packaging: string;
    readonly sha256: string;
  },
): Promise<string> {
  return ctx.cached(artefact.name, artefact.version, async (target) => {
    const { bin } = await ctx.python();
    const script = [
      'import sys',
      'from pathlib import Path',
      'from jgo.maven import MavenContext',
      'cache, group, name, version, classifier, packaging = sys.argv[1:]',
      'project = MavenContext(repo_cache=Path(cache)).project(group, name).at_version(version)',
      'print(project.artifact(classifier=classifier, packaging=packaging).resolve())',
    ].join('\n');
    const output = await ctx.run(
      join(bin, 'python'),
      [
        '-c',
        script,
        join(ctx.cacheDir, 'maven'),
        artefact.group,
        artefact.name,
        artefact.version,
        artefact.classifier,
        artefact.packaging,
      ],
      { timeoutSeconds: 900 },
    );
    const file = output.trim().split('\n').at(-1) ?? '';
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    if (digest !== artefact.sha256)
      throw new Error(
        `${artefact.name} ${artefact.version} has the SHA-256 ${digest}, not the expected ${artefact.sha256}`,
      );
    await mkdir(target, { recursive: true });
    await ctx.run('tar', ['-xzf', file, '-C', target], { timeoutSeconds: 120 });
    await ctx.run('chmod', ['-R', 'a+rX', target]);
  });
}
