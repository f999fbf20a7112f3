import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import semver from 'semver';
import * as tar from 'tar';
import { z } from 'zod';
import type { ArtifactReference } from '../../workflows/contracts/json';
import { taskFailed } from '../task-failed';
import type { Work } from '../work';

const limits = { entries: 20_000, bytes: 512 * 1024 * 1024 } as const;

const dependencies = z.record(z.string(), z.string()).default({});
const manifestSchema = z.looseObject({
  name: z.string().default('project'),
  version: z.string().default(''),
  dependencies,
  devDependencies: dependencies,
  optionalDependencies: dependencies,
  scripts: z.record(z.string(), z.string()).default({}),
});
const lockSchema = z.looseObject({
  lockfileVersion: z.number().int().min(2),
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      name: z.string().optional(),
      resolved: z.string().optional(),
      link: z.boolean().optional(),
    }),
  ),
});
export type Manifest = z.output<typeof manifestSchema>;

/**
 * Unpacks a gzipped archive into a new folder, files and folders only: a link, a path that leads out, or more than
 * 20,000 entries or 512 MiB is ArchiveRefused, whatever the archive says of itself.
 */
export async function unpack(archive: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  let [entries, bytes] = [0, 0];
  let refused: string | undefined;
  await tar
    .x({
      file: archive,
      cwd: folder,
      strict: true,
      filter: (path, entry) => {
        if (refused !== undefined) return false;
        const type = 'type' in entry ? entry.type : 'File';
        entries += 1;
        bytes += entry.size;
        if (path.startsWith('/') || path.split(/[/\\]/).includes('..')) refused = `the path ${path} leads out of it`;
        else if (type !== 'File' && type !== 'OldFile' && type !== 'Directory') refused = `${path} is a ${type}`;
        else if (entries > limits.entries) refused = `it has more than ${limits.entries} entries`;
        else if (bytes > limits.bytes) refused = `it unpacks to more than ${limits.bytes} bytes`;
        return refused === undefined;
      },
    })
    .catch((error: unknown) => {
      refused ??= `it cannot be read (${error instanceof Error ? error.message : String(error)})`;
    });
  if (refused !== undefined) throw taskFailed('ArchiveRefused', `The archive is refused: ${refused}`);
}

/** The project's folder: the archive's top, or the one folder in it. Fails with ProjectInvalid. */
export async function unpackProject(work: Work, project: ArtifactReference, name = 'project'): Promise<string> {
  const archive = join(work.folder, `${name}.tar.gz`);
  await work.fetch(project, archive);
  const folder = join(work.folder, name);
  await unpack(archive, folder);
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some((entry) => entry.name === 'package.json')) return folder;
  const [only] = entries;
  if (entries.length === 1 && only?.isDirectory()) return join(folder, only.name);
  throw taskFailed('ProjectInvalid', 'The archive has no package.json at its top');
}

export const readManifest = (folder: string): Promise<Manifest> =>
  readJson(join(folder, 'package.json'), manifestSchema);

/** One of the project's own dependencies: the version in its lock file, or why there is nothing to compare. */
export type OwnDependency =
  { readonly name: string; readonly current: string } | { readonly name: string; readonly why: string };

const elsewhere =
  /^(git|github:|gitlab:|bitbucket:|gist:|https?:|file:|link:|workspace:|\.{0,2}\/|[\w.-]+\/[\w.-]+(#|$))/;

/** What package.json names, in the order of names. Fails with ProjectInvalid. */
export async function ownDependencies(folder: string): Promise<readonly OwnDependency[]> {
  const manifest = await readManifest(folder);
  const { packages } = await readJson(join(folder, 'package-lock.json'), lockSchema);
  const specs = { ...manifest.optionalDependencies, ...manifest.devDependencies, ...manifest.dependencies };
  return Object.entries(specs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, spec]) => {
      const locked = packages[`node_modules/${name}`];
      if (elsewhere.test(spec) || locked?.link === true || /^(git|file:)/.test(locked?.resolved ?? ''))
        return { name, why: `it comes from elsewhere (${spec})` };
      if (locked?.name !== undefined && locked.name !== name) return { name, why: `it stands for ${locked.name}` };
      if (locked?.version === undefined || semver.valid(locked.version) === null)
        return { name, why: 'package-lock.json holds no version of it' };
      return { name, current: locked.version };
    });
}

async function readJson<S extends z.ZodType>(file: string, schema: S): Promise<z.output<S>> {
  const name = file.slice(file.lastIndexOf('/') + 1);
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw taskFailed('ProjectInvalid', `There is no ${name}`);
    const why = error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : '';
    throw taskFailed('ProjectInvalid', `${name} is not usable: ${why}`);
  }
}
