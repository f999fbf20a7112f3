import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactReference, Json } from '../../workflows/contracts/json';
import type { Work } from '../work';

/** Keeps what is too much for a result, for later tasks of the plan to read. */
export const keepJson = (work: Work, name: string, value: Json): Promise<ArtifactReference> =>
  work.keep({ name, mediaType: 'application/json', bytes: Buffer.from(`${JSON.stringify(value, null, 2)}\n`) });

/** Reads what `keepJson` kept. Only documents that this example made come here, so their shape is not checked again. */
export async function readJson<T>(work: Work, reference: ArtifactReference): Promise<T> {
  const file = join(work.folder, reference.artifact.replace(':', '-'));
  await work.fetch(reference, file);
  return JSON.parse(await readFile(file, 'utf8')) as T;
}
