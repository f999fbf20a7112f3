import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import semver from 'semver';
import { z } from 'zod';
import { publicNames, type PublicNames } from './declarations';
import { unpack } from './project-folder';
import { taskFailed } from '../task-failed';
import { npmOf } from './tools';
import type { Work } from '../work';
import type { Workplace } from './workplace';

const text = z.string().catch('');
const texts = z.record(z.string(), z.string()).catch({});
const manifestSchema = z.looseObject({
  version: z.string(),
  type: text,
  license: z.union([z.string(), z.looseObject({ type: z.string() }).transform(({ type }) => type)]).catch('none'),
  main: text,
  types: text,
  typings: text,
  exports: z.json().optional(),
  engines: texts,
  scripts: texts,
  dependencies: texts,
  peerDependencies: texts,
});
const person = z.union([z.string(), z.looseObject({ name: z.string() }).transform(({ name }) => name)]);
const viewSchema = z.looseObject({
  version: z.string(),
  deprecated: z.string().optional(),
  maintainers: z
    .union([z.array(person), person.transform((one) => [one])])
    .transform((people) => people.map((one) => one.replace(/ *<.*$/, '')).sort())
    .optional(),
});

/** One published version: what its tarball holds and what the registry says of it. */
export interface PublishedPackage {
  readonly manifest: z.output<typeof manifestSchema>;
  /** Digest of each file, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** Unpacked bytes. */
  readonly size: number;
  /** Absent when it ships no type declarations. */
  readonly api?: PublicNames;
  /** Scripts that npm would run at install time, by name. */
  readonly installScripts: Readonly<Record<string, string>>;
  /** Absent when the registry does not tell. */
  readonly maintainers?: readonly string[];
  /** RFC 3339, as the registry tells it, if it does. */
  readonly published?: string;
  readonly deprecated?: string;
}

/** Downloads both versions in one go. Fails with PackageNotFound when the registry lacks one. */
export async function download(
  name: string,
  versions: readonly [string, string],
  work: Work,
  workplace: Workplace,
): Promise<readonly [PublishedPackage, PublishedPackage]> {
  const npm = npmOf(work, workplace);
  const tarballs = join(work.folder, 'tarballs');
  await mkdir(tarballs);
  const specs = versions.map((version) => `${name}@${version}`);
  const packed = z
    .array(z.looseObject({ version: z.string(), filename: z.string() }))
    .parse(JSON.parse(await npm(work.folder, 'pack', ...specs, '--json', '--pack-destination', tarballs)));
  // With one field alone npm would answer with bare values.
  const timeOf = (version: string): string => `time[${version}]`;
  const fields = ['name', 'version', 'maintainers', 'deprecated', ...versions.map(timeOf)];
  const seen = z
    .array(viewSchema)
    .parse(JSON.parse(await npm(work.folder, 'view', `${name}@${versions.join(' || ')}`, ...fields, '--json')));

  const read = async (version: string): Promise<PublishedPackage> => {
    const tarball = packed.find((entry) => entry.version === version);
    const view = seen.find((entry) => entry.version === version);
    if (!tarball || !view) throw taskFailed('PackageNotFound', `The registry has no ${name} ${version}`);
    const folder = join(work.folder, version);
    // Names of scoped packages come with their slash replaced in the file, but not in every npm's answer.
    await unpack(join(tarballs, tarball.filename.replace('@', '').replace('/', '-')), folder);
    const [top = 'package'] = await readdir(folder);
    return {
      ...(await contents(join(folder, top))),
      ...(view.maintainers && { maintainers: view.maintainers }),
      ...published(view[timeOf(version)]),
      ...(view.deprecated !== undefined && { deprecated: view.deprecated }),
    };
  };
  return [await read(versions[0]), await read(versions[1])];
}

const published = (time: unknown): { readonly published?: string } =>
  typeof time === 'string' && !Number.isNaN(Date.parse(time)) ? { published: new Date(time).toISOString() } : {};

/** The newest version in a range; undefined when there is none. */
export async function newestIn(
  name: string,
  range: string,
  work: Work,
  workplace: Workplace,
): Promise<string | undefined> {
  const answer = await npmOf(work, workplace)(work.folder, 'view', `${name}@${range}`, 'version', '--json');
  const versions = z.union([z.array(z.string()), z.string().transform((one) => [one])]).parse(JSON.parse(answer));
  return versions.sort(semver.rcompare)[0];
}

async function contents(folder: string): Promise<Omit<PublishedPackage, 'maintainers' | 'published' | 'deprecated'>> {
  const files = new Map<string, string>();
  let size = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    size += bytes.length;
    files.set(relative(folder, path), createHash('sha256').update(bytes).digest('hex'));
  }
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
  const api = await publicNames(folder, manifest, [...files.keys()]);
  const scripts = ['preinstall', 'install', 'postinstall'].flatMap((name) => {
    const script =
      manifest.scripts[name] ?? (name === 'install' && files.has('binding.gyp') ? 'node-gyp rebuild' : undefined);
    return script === undefined ? [] : [[name, script] as const];
  });
  return { manifest, files, size, ...(api && { api }), installScripts: Object.fromEntries(scripts) };
}
