import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  Artifacts,
  type ArtifactInfo as ArtifactMessage,
  type PutArtifactRequest,
} from '../../proto/aats/data/v1/data_pb';
import type { ArtifactInfo, ArtifactStore } from '../../activities/stores/artifact-store';
import { failure } from '../../workflows/contracts/failures';
import type { Handlers } from '../runtime/grpc';
import { nameOf } from '../runtime/identity';
import { fromStore, partsFromStore } from './store-failures';

/** Documents by content, as streams that are never held whole in memory. */
export function createArtifactHandlers(artifacts: ArtifactStore): Handlers<typeof Artifacts> {
  return {
    putArtifact: (requests, { caller }) =>
      fromStore(async () => {
        const parts = requests[Symbol.asyncIterator]();
        const first = await parts.next();
        if (first.done === true || first.value.part.case !== 'header') {
          throw failure('InvalidInput', 'the first message must be the header');
        }
        const { name, mediaType, size, artifact, offset } = first.value.part.value;
        const header = { name, mediaType, size: Number(size), artifact };
        // Uploads belong to whoever began them.
        const from = { uploader: nameOf(caller), offset: Number(offset) };
        return { artifact: toMessage(await artifacts.put(header, chunksOf(parts), from)) };
      }),
    getUpload: ({ artifact }, { caller }) =>
      fromStore(async () => {
        const { received, complete } = await artifacts.upload(artifact, nameOf(caller));
        return { received: BigInt(received), complete };
      }),
    async *getArtifact({ artifact, offset }) {
      yield { info: toMessage(await fromStore(() => artifacts.stat(artifact))) };
      for await (const chunk of partsFromStore(artifacts.get(artifact, bytes(offset, 'offset')))) yield { chunk };
    },
    statArtifact: ({ artifact }) => fromStore(async () => ({ artifact: toMessage(await artifacts.stat(artifact)) })),
  };
}

async function* chunksOf(parts: AsyncIterator<PutArtifactRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await parts.next();
    if (next.done === true) return;
    if (next.value.part.case !== 'chunk') throw failure('InvalidInput', 'after the header only chunks may come');
    yield next.value.part.value;
  }
}

function bytes(value: bigint, field: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw failure('InvalidInput', `${field} must be a number of bytes`);
  }
  return Number(value);
}

const toMessage = ({ createdAt, size, ...info }: ArtifactInfo): Omit<ArtifactMessage, '$typeName'> => ({
  ...info,
  size: BigInt(size),
  createdAt: timestampFromDate(createdAt),
});
