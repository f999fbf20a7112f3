import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Artifacts, PutArtifactRequestSchema } from '../proto/aats/data/v1/data_pb';
import { ServiceFailure } from '../services/runtime/failure-status';
import type { GrpcClient } from '../services/runtime/grpc-client';
import type { ArtifactReference } from '../workflows/contracts/json';
import { failure } from '../workflows/contracts/failures';

/** Documents in the artifact store, for a process that holds no store's password. */
export interface ArtifactClient {
  /** Keeps a document; one that is there already is not sent again, and a broken upload goes on where it stopped. */
  put(
    document: { readonly name: string; readonly mediaType: string; readonly bytes: Buffer },
    signal: AbortSignal,
  ): Promise<ArtifactReference>;
  /** Writes a document to a file; a broken download goes on where it stopped, and the digest is checked here too. */
  fetch(reference: ArtifactReference, file: string, signal: AbortSignal): Promise<void>;
}

const messageBytes = 512 * 1024;
const tries = 6;

export function createArtifactClient(client: GrpcClient<typeof Artifacts>): ArtifactClient {
  return {
    put: async ({ name, mediaType, bytes }, signal) => {
      const artifact = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      await persist(signal, async () => {
        const { received, complete } = await client.getUpload({ artifact }, { signal });
        if (complete) return;
        const header = { name, mediaType, artifact, size: BigInt(bytes.length), offset: received };
        await client.putArtifact(messages(header, bytes), { signal });
      });
      return { artifact, name, mediaType, size: bytes.length };
    },
    fetch: async ({ artifact }, file, signal) => {
      const target = await open(file, 'w');
      try {
        const hash = createHash('sha256');
        let position = 0;
        await persist(signal, async () => {
          for await (const { chunk } of client.getArtifact({ artifact, offset: BigInt(position) }, { signal })) {
            await target.write(chunk, 0, chunk.length, position);
            hash.update(chunk);
            position += chunk.length;
          }
        });
        const digest = `sha256:${hash.digest('hex')}`;
        if (digest !== artifact) throw failure('ArtifactCorrupt', `${artifact} came as ${digest}`);
      } finally {
        await target.close();
      }
    },
  };
}

type PutMessage = MessageInitShape<typeof PutArtifactRequestSchema>;

async function* messages(
  header: { name: string; mediaType: string; artifact: string; size: bigint; offset: bigint },
  bytes: Buffer,
): AsyncGenerator<PutMessage> {
  yield await Promise.resolve({ part: { case: 'header' as const, value: header } });
  for (let at = Number(header.offset); at < bytes.length; at += messageBytes) {
    yield { part: { case: 'chunk' as const, value: bytes.subarray(at, at + messageBytes) } };
  }
}

/** Tries again while that can help, with growing pauses: about six seconds in all. */
async function persist(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ServiceFailure) || !error.retryable || attempt === tries) throw error;
      await wait(100 * 2 ** attempt, undefined, { signal });
    }
  }
}
