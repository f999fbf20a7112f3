import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ArtifactReference } from '../../workflows/contracts/json';
import { failure } from '../../workflows/contracts/failures';
import type { ArtifactStore } from './artifact-store';

/** Keeps a document that is in memory; the same bytes again give the same reference. */
export async function putBytes(
  store: ArtifactStore,
  document: {
    readonly name: string;
    readonly mediaType: string;
    readonly bytes: Uint8Array;
    readonly uploader: string;
  },
): Promise<ArtifactReference> {
  const { name, mediaType, bytes, uploader } = document;
  const artifact = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const header = { artifact, name, mediaType, size: bytes.length };
  await store.put(header, Readable.from([bytes]), { uploader });
  // The caller's own name, not that of whoever kept this content first.
  return header;
}

/** A whole document in memory; TooLarge before anything is read when it has more than `limit` bytes. */
export async function getBytes(store: ArtifactStore, artifact: string, limit: number): Promise<Buffer> {
  const { size } = await store.stat(artifact);
  if (size > limit) throw failure('TooLarge', `${artifact} has ${size} bytes; here at most ${limit} are read`);
  const parts: Uint8Array[] = [];
  for await (const bytes of store.get(artifact)) parts.push(bytes);
  return Buffer.concat(parts);
}
