import { createHash, randomUUID } from 'node:crypto';
import { Binary, MongoServerError, type Collection, type Db } from 'mongodb';
import { brokenRules, failure, type FieldRule } from '../../workflows/contracts/failures';
import { artifactLimitBytes } from '../../workflows/contracts/plan';

/** Bytes of one stored chunk; part of the stored form, so an upload can go on only with the size it began with. */
export const chunkBytes = 512 * 1024;

export interface ArtifactHeader {
  /** `sha256:<64 hex>` of the whole content. */
  readonly artifact: string;
  readonly name: string;
  readonly mediaType: string;
  /** Bytes, at most 256 MiB. */
  readonly size: number;
}
export interface ArtifactInfo extends ArtifactHeader {
  readonly createdAt: Date;
}
export interface Upload {
  /** Bytes kept from the beginning without a gap; a resumed upload sends from here. */
  readonly received: number;
  readonly complete: boolean;
}

/** Immutable documents, addressed by their content. */
export interface ArtifactStore {
  /**
   * Keeps a document and answers with the kept metadata: the first name and media type given for a content stay.
   * A content that is kept already changes nothing, and puts of it at the same time do no harm. When the stream
   * breaks, what arrived stays and `offset` (as told by `upload`) goes on there; a content that is not what the
   * header says is refused with InvalidInput and forgotten.
   */
  put(
    header: ArtifactHeader,
    content: AsyncIterable<Uint8Array>,
    from: { readonly uploader: string; readonly offset?: number },
  ): Promise<ArtifactInfo>;
  /** How far the newest upload of this uploader came; another uploader's bytes are never built upon. */
  upload(artifact: string, uploader: string): Promise<Upload>;
  /** Fails with ArtifactNotFound. */
  stat(artifact: string): Promise<ArtifactInfo>;
  /**
   * The bytes from `offset` on. The whole content is hashed whatever the offset, and the last chunk is given only
   * when the digest is right: ArtifactCorrupt otherwise, so nobody ends up with a wrong document unawares.
   */
  get(artifact: string, offset?: number): AsyncGenerator<Uint8Array, void, undefined>;
  /** Forgets unfinished uploads begun before a time; answers how many. May be interrupted and repeated. */
  removeAbandoned(before: Date): Promise<number>;
}

interface ArtifactDocument {
  readonly _id: string;
  readonly name: string;
  readonly mediaType: string;
  readonly size: number;
  readonly createdAt: Date;
  /** Upload whose chunks are the content. */
  readonly upload: string;
}
interface UploadDocument {
  readonly _id: string;
  readonly artifact: string;
  readonly uploader: string;
  readonly size: number;
  readonly startedAt: Date;
}
interface ChunkDocument {
  /** `<upload>/<n>`: unique, and chunks are only ever asked for by id. */
  readonly _id: string;
  readonly bytes: Binary;
}

/**
 * Chunks lie spread over 256 collections. FerretDB looks an id up by reading the whole table, large values and all
 * (0.3 ms for each chunk that is there, whatever the settings of its PostgreSQL): so a look-up reads a 256th of them.
 * MongoDB finds ids by index and does not mind.
 */
export function chunkCollection(upload: string, n: number): string {
  const bucket = (Number.parseInt(upload.slice(0, 2), 16) + n) % 256;
  return `artifact_chunks_${bucket.toString(16).padStart(2, '0')}`;
}

const digestPattern = /^sha256:[0-9a-f]{64}$/;
const isDuplicate = (error: unknown): boolean => error instanceof MongoServerError && error.code === 11000;

/**
 * The store over MongoDB's protocol by single inserts, look-ups by id and deletes alone: no transaction, no counter,
 * no aggregation. So it is as right on a server that offers nothing more as on a replica set. Each upload has its own
 * chunks; the metadata document is inserted last and names the upload that won, so a reader never sees a part.
 */
export function createArtifactStore(db: Db, { now = () => new Date() } = {}): ArtifactStore {
  const artifacts: Collection<ArtifactDocument> = db.collection('artifacts');
  const uploads: Collection<UploadDocument> = db.collection('artifact_uploads');
  const chunksAt = (upload: string, n: number): Collection<ChunkDocument> => db.collection(chunkCollection(upload, n));

  const find = async (artifact: string): Promise<ArtifactDocument> => {
    const found = await artifacts.findOne({ _id: artifact });
    if (!found) throw failure('ArtifactNotFound', `There is no artifact ${artifact}`);
    return found;
  };
  const newestUpload = (artifact: string, uploader: string): Promise<UploadDocument | null> =>
    uploads.findOne({ artifact, uploader }, { sort: { startedAt: -1 } });

  /** Chunks are inserted in order, so the first absent one is found by halving. */
  const receivedOf = async ({ _id, size }: UploadDocument): Promise<number> => {
    let [low, high] = [0, Math.ceil(size / chunkBytes)];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = await chunksAt(_id, middle).findOne({ _id: `${_id}/${middle}` }, { projection: { _id: 1 } });
      if (there) low = middle + 1;
      else high = middle;
    }
    return Math.min(low * chunkBytes, size);
  };

  async function* read(upload: string, size: number): AsyncGenerator<Buffer, void, undefined> {
    const fetch = (n: number): Promise<ChunkDocument | null> =>
      n * chunkBytes < size ? chunksAt(upload, n).findOne({ _id: `${upload}/${n}` }) : Promise.resolve(null);
    let next = fetch(0);
    for (let n = 0; n * chunkBytes < size; n++) {
      const chunk = await next;
      if (!chunk) throw failure('ArtifactCorrupt', `Chunk ${n} of a document of ${size} bytes is missing`);
      next = fetch(n + 1);
      // The consumer may stop here; a failure of the read-ahead is then nobody's business.
      next.catch(() => undefined);
      yield Buffer.from(chunk.bytes.value());
    }
  }
  const digestOf = async (content: AsyncIterable<Uint8Array>): Promise<string> => {
    const hash = createHash('sha256');
    for await (const bytes of content) hash.update(bytes);
    return `sha256:${hash.digest('hex')}`;
  };
  /** Chunks before the upload's own document, so that an interrupted removal is found again. */
  const forget = async ({ _id, size }: UploadDocument): Promise<void> => {
    for (let n = 0; n * chunkBytes < size; n++) await chunksAt(_id, n).deleteOne({ _id: `${_id}/${n}` });
    await uploads.deleteOne({ _id });
  };

  const begin = async (header: ArtifactHeader, uploader: string, offset: number): Promise<UploadDocument> => {
    if (offset > 0) {
      const upload = await newestUpload(header.artifact, uploader);
      const received = upload ? await receivedOf(upload) : 0;
      // Two that resume at once each bring what the other may have kept already: the same chunks, kept once.
      if (upload && offset <= received && offset % chunkBytes === 0 && upload.size === header.size) return upload;
      throw failure('InvalidInput', `The upload of ${header.artifact} goes on at ${received}, not at ${offset}`, {
        details: [{ received }],
      });
    }
    const { artifact, size } = header;
    const upload = { _id: randomUUID(), artifact, uploader, size, startedAt: now() };
    await uploads.insertOne(upload);
    return upload;
  };

  return {
    async put(header, content, { uploader, offset = 0 }) {
      checkHeader(header, offset);
      const kept = await artifacts.findOne({ _id: header.artifact });
      if (kept) return infoOf(kept);
      const upload = await begin(header, uploader, offset);

      const hash = createHash('sha256');
      let readBack = offset > 0;
      let position = offset;
      for await (const bytes of inChunks(content, header.size - offset)) {
        const n = position / chunkBytes;
        hash.update(bytes);
        await chunksAt(upload._id, n)
          .insertOne({ _id: `${upload._id}/${n}`, bytes: new Binary(bytes) })
          .catch((error: unknown) => {
            if (!isDuplicate(error)) throw error;
            // The same upload was resumed twice at once: what counts is what is stored.
            readBack = true;
          });
        position += bytes.length;
      }
      if (position < header.size) {
        throw failure('InvalidInput', `The content ended after ${position} of ${header.size} bytes`);
      }
      const digest = readBack ? await digestOf(read(upload._id, header.size)) : `sha256:${hash.digest('hex')}`;
      if (digest !== header.artifact) {
        await forget(upload);
        throw failure('InvalidInput', `The content is ${digest}, not ${header.artifact}`);
      }
      const { artifact: _id, name, mediaType, size } = header;
      const document = { _id, name, mediaType, size, createdAt: now(), upload: upload._id };
      try {
        await artifacts.insertOne(document);
      } catch (error) {
        if (!isDuplicate(error)) throw error;
        const winner = await find(_id);
        if (winner.upload !== upload._id) await forget(upload);
        return infoOf(winner);
      }
      await uploads.deleteOne({ _id: upload._id });
      return infoOf(document);
    },

    async upload(artifact, uploader) {
      const kept = await artifacts.findOne({ _id: artifact });
      if (kept) return { received: kept.size, complete: true };
      const upload = await newestUpload(artifact, uploader);
      return { received: upload ? await receivedOf(upload) : 0, complete: false };
    },

    async stat(artifact) {
      return infoOf(await find(artifact));
    },

    async *get(artifact, offset = 0) {
      const { upload, size } = await find(artifact);
      if (!Number.isSafeInteger(offset) || offset < 0 || offset > size) {
        throw failure('InvalidInput', `Offset ${offset} is outside of ${artifact}, which has ${size} bytes`);
      }
      const hash = createHash('sha256');
      let position = 0;
      for await (const bytes of read(upload, size)) {
        hash.update(bytes);
        const skip = Math.max(0, offset - position);
        position += bytes.length;
        if (position >= size) checkDigest(artifact, hash.digest('hex'));
        if (skip < bytes.length) yield bytes.subarray(skip);
      }
      if (size === 0) checkDigest(artifact, hash.digest('hex'));
    },

    async removeAbandoned(before) {
      const old = await uploads.find({ startedAt: { $lt: before } }).toArray();
      let removed = 0;
      for (const upload of old) {
        const winner = await artifacts.findOne({ _id: upload.artifact });
        // A crash between the metadata and this document leaves an upload that is in fact finished.
        if (winner?.upload === upload._id) await uploads.deleteOne({ _id: upload._id });
        else {
          await forget(upload);
          removed += 1;
        }
      }
      return removed;
    },
  };
}

function checkHeader({ artifact, name, mediaType, size }: ArtifactHeader, offset: number): void {
  const rules: readonly FieldRule[] = [
    [digestPattern.test(artifact), 'artifact', 'must be sha256:<64 lower-case hex digits>'],
    [name !== '' && name.length <= 255, 'name', 'must have 1 to 255 characters'],
    [/^[\w.+-]+\/[\w.+-]+$/.test(mediaType), 'mediaType', 'must be like text/plain'],
    [Number.isSafeInteger(size) && size >= 0, 'size', 'must be a number of bytes'],
    [Number.isSafeInteger(offset) && offset >= 0, 'offset', 'must be a number of bytes'],
  ];
  const details = brokenRules(rules, '/header');
  if (details.length > 0) throw failure('InvalidInput', 'the header is wrong', { details });
  if (size > artifactLimitBytes) {
    throw failure('TooLarge', `${name} has ${size} bytes; an artifact has at most ${artifactLimitBytes}`);
  }
  if (offset > size || (offset % chunkBytes !== 0 && offset !== size)) {
    throw failure('InvalidInput', `offset must be what the server said it has received, not ${offset}`);
  }
}

function checkDigest(artifact: string, digest: string): void {
  if (`sha256:${digest}` !== artifact) {
    throw failure('ArtifactCorrupt', `The stored content of ${artifact} has the digest sha256:${digest}`);
  }
}

const infoOf = ({ _id, name, mediaType, size, createdAt }: ArtifactDocument): ArtifactInfo => ({
  artifact: _id,
  name,
  mediaType,
  size,
  createdAt,
});

/** Cuts a stream of any pieces into stored chunks; an incomplete last one is given only when it ends the document. */
async function* inChunks(content: AsyncIterable<Uint8Array>, expected: number): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let total = 0;
  for await (let piece of content) {
    total += piece.length;
    if (total > expected) throw failure('InvalidInput', `The content is longer than the ${expected} bytes announced`);
    while (held + piece.length >= chunkBytes) {
      const room = chunkBytes - held;
      yield Buffer.concat([...parts, piece.subarray(0, room)]);
      piece = piece.subarray(room);
      parts = [];
      held = 0;
    }
    if (piece.length > 0) parts.push(piece);
    held += piece.length;
  }
  if (total === expected && held > 0) yield Buffer.concat(parts);
}
