import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactReference } from '../../workflows/contracts/json';
import type { Work } from '../work';
import type { Workplace } from './workplace';

/**
 * Puts the documents of a plan into its folder under `publications`, with an `index.json` that names each one and its
 * digest. The folder is changed by one rename, so that nobody sees half of it; run again it is the same folder.
 */
export async function publishArtifacts(
  { artifacts }: { readonly artifacts: readonly ArtifactReference[] },
  work: Work,
  { publications }: Workplace,
): Promise<{ readonly files: readonly string[]; readonly index: ArtifactReference }> {
  await mkdir(publications, { recursive: true, mode: 0o700 });
  const [made, target] = [join(publications, `.${work.planId}.new`), join(publications, work.planId)];
  await rm(made, { recursive: true, force: true });
  await mkdir(made);
  const entries = [];
  for (const [n, reference] of artifacts.entries()) {
    // The number keeps names apart; the name is only ever the last part of a path.
    const file = `${n + 1}-${reference.name.replace(/[^\w.-]/g, '_').slice(-100)}`;
    await work.fetch(reference, join(made, file));
    entries.push({ file, ...reference });
    work.progress(`Published ${file}`);
  }
  const bytes = Buffer.from(`${JSON.stringify({ plan: work.planId, artifacts: entries }, null, 2)}\n`);
  await writeFile(join(made, 'index.json'), bytes);
  await rm(target, { recursive: true, force: true });
  await rename(made, target);
  const index = await work.keep({ name: 'index.json', mediaType: 'application/json', bytes });
  return { files: entries.map(({ file }) => file), index };
}
