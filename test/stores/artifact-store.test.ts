import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Binary } from 'mongodb';
import { getBytes, putBytes } from '../../activities/stores/artifact-bytes';
import {
  chunkBytes,
  chunkCollection,
  createArtifactStore,
  type ArtifactHeader,
} from '../../activities/stores/artifact-store';
import { openTestDatabase } from '../support/mongo';

const digest = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const headerOf = (bytes: Uint8Array): ArtifactHeader => ({
  artifact: digest(bytes),
  name: 'report.md',
  mediaType: 'text/markdown',
  size: bytes.length,
});
/** Pieces that fit no chunk boundary. */
function* pieces(bytes: Buffer, size = 100_003): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const from = (bytes: Buffer): Readable => Readable.from(pieces(bytes));
function breaksAfter(bytes: Buffer, length: number): Readable {
  return Readable.from(
    (function* () {
      yield bytes.subarray(0, length);
      throw new Error('connection lost');
    })(),
  );
}
const uploader = 'agent/test';

// A store's first answers may take long on a busy machine.
jest.setTimeout(90_000);

describe('artifact store', () => {
  let database: Awaited<ReturnType<typeof openTestDatabase>>;
  let store: ReturnType<typeof createArtifactStore>;
  let clock = new Date('2026-01-02T00:00:00Z');
  const read = (artifact: string): Promise<Buffer> => getBytes(store, artifact, 1 << 28);
  const documents = async (prefix: string): Promise<number> => {
    const collections = await database.db.listCollections().toArray();
    const counts = collections
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name }) => database.db.collection(name).countDocuments());
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };

  beforeAll(async () => {
    database = await openTestDatabase();
    store = createArtifactStore(database.db, { now: () => clock });
  });
  afterAll(() => database.drop());

  it.each([0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes])('gives back %d bytes', async (size) => {
    const bytes = randomBytes(size);
    const info = await store.put(headerOf(bytes), from(bytes), { uploader });
    expect(info).toEqual({ ...headerOf(bytes), createdAt: clock });
    expect((await read(info.artifact)).equals(bytes)).toBe(true);
  });

  it('answers with the first metadata when the same content comes again', async () => {
    const bytes = randomBytes(10);
    await store.put(headerOf(bytes), from(bytes), { uploader });
    const again = await store.put({ ...headerOf(bytes), name: 'other.md' }, from(bytes), { uploader: 'agent/other' });
    expect(again.name).toBe('report.md');
  });

  it('keeps one copy when many put the same content at once', async () => {
    const bytes = randomBytes(2 * chunkBytes + 5);
    const before = await documents('artifact_chunks');
    const puts = Array.from({ length: 6 }, (_, n) =>
      store.put(headerOf(bytes), from(bytes), { uploader: `agent/${n}` }),
    );
    await Promise.all(puts);
    expect((await read(digest(bytes))).equals(bytes)).toBe(true);
    expect(await documents('artifact_chunks')).toBe(before + 3);
    expect(await documents('artifact_uploads')).toBe(0);
  });

  it('goes on where a broken upload stopped', async () => {
    const bytes = randomBytes(3 * chunkBytes);
    await expect(store.put(headerOf(bytes), breaksAfter(bytes, 2 * chunkBytes + 7), { uploader })).rejects.toThrow(
      'connection lost',
    );
    const { received, complete } = await store.upload(digest(bytes), uploader);
    expect({ received, complete }).toEqual({ received: 2 * chunkBytes, complete: false });
    expect(await store.upload(digest(bytes), 'agent/other')).toEqual({ received: 0, complete: false });

    await store.put(headerOf(bytes), from(bytes.subarray(received)), { uploader, offset: received });
    expect((await read(digest(bytes))).equals(bytes)).toBe(true);
    expect(await store.upload(digest(bytes), uploader)).toEqual({ received: bytes.length, complete: true });
  });

  it('survives the same upload being resumed twice at once', async () => {
    const bytes = randomBytes(4 * chunkBytes);
    await expect(store.put(headerOf(bytes), breaksAfter(bytes, chunkBytes), { uploader })).rejects.toThrow();
    const rest = { uploader, offset: chunkBytes };
    const twice = [0, 1].map(() => store.put(headerOf(bytes), from(bytes.subarray(chunkBytes)), rest));
    await Promise.all(twice);
    expect((await read(digest(bytes))).equals(bytes)).toBe(true);
  });

  it('refuses to go on at another place than it has', async () => {
    const bytes = randomBytes(3 * chunkBytes);
    const rest = from(bytes.subarray(chunkBytes));
    await expect(store.put(headerOf(bytes), rest, { uploader, offset: chunkBytes })).rejects.toMatchObject({
      type: 'InvalidInput',
      details: [{ received: 0 }],
    });
  });

  it('refuses and forgets content that is not what the header says', async () => {
    const bytes = randomBytes(chunkBytes + 1);
    const before = await documents('artifact_chunks');
    const header = { ...headerOf(bytes), artifact: digest(randomBytes(4)) };
    await expect(store.put(header, from(bytes), { uploader })).rejects.toMatchObject({ type: 'InvalidInput' });
    expect(await documents('artifact_chunks')).toBe(before);
    await expect(store.stat(header.artifact)).rejects.toMatchObject({ type: 'ArtifactNotFound' });
  });

  it('does not let one uploader spoil the upload of another', async () => {
    const good = randomBytes(2 * chunkBytes);
    const bad = Readable.from([randomBytes(chunkBytes), randomBytes(chunkBytes)]);
    const [refused] = await Promise.allSettled([
      store.put(headerOf(good), bad, { uploader: 'agent/bad' }),
      store.put(headerOf(good), from(good), { uploader: 'agent/good' }),
    ]);
    expect(refused.status === 'rejected' || (await read(digest(good))).equals(good)).toBe(true);
    expect((await read(digest(good))).equals(good)).toBe(true);
  });

  it.each([
    ['longer', 9],
    ['shorter', 11],
    ['much shorter', 2 ** 28],
  ])('refuses content that is %s than announced', async (_, size) => {
    const bytes = randomBytes(10);
    await expect(store.put({ ...headerOf(bytes), size }, from(bytes), { uploader })).rejects.toMatchObject({
      type: 'InvalidInput',
    });
  });

  it.each([
    ['artifact', { artifact: 'sha256:abc' }, 'InvalidInput'],
    ['name', { name: '' }, 'InvalidInput'],
    ['media type', { mediaType: 'text/plain\r\nx: y' }, 'InvalidInput'],
    ['size', { size: -1 }, 'InvalidInput'],
    ['size', { size: 2 ** 28 + 1 }, 'TooLarge'],
  ])('refuses a header with a bad %s', async (_, wrong, type) => {
    const bytes = randomBytes(3);
    const put = store.put({ ...headerOf(bytes), ...wrong }, from(bytes), { uploader });
    await expect(put).rejects.toMatchObject({ type });
  });

  it('reads from an offset on', async () => {
    const bytes = randomBytes(2 * chunkBytes + 3);
    await store.put(headerOf(bytes), from(bytes), { uploader });
    for (const offset of [1, chunkBytes, chunkBytes + 1, bytes.length]) {
      const parts: Uint8Array[] = [];
      for await (const part of store.get(digest(bytes), offset)) parts.push(part);
      expect(Buffer.concat(parts).equals(bytes.subarray(offset))).toBe(true);
    }
    await expect(store.get(digest(bytes), bytes.length + 1).next()).rejects.toMatchObject({ type: 'InvalidInput' });
  });

  it('holds back the last chunk of a document that was damaged where it lies', async () => {
    const bytes = randomBytes(2 * chunkBytes);
    await store.put(headerOf(bytes), from(bytes), { uploader });
    const kept = await database.db
      .collection<{ _id: string; upload: string }>('artifacts')
      .findOne({ _id: digest(bytes) });
    await database.db
      .collection<{ _id: string }>(chunkCollection(kept?.upload ?? '', 0))
      .updateOne({ _id: `${kept?.upload ?? ''}/0` }, { $set: { bytes: new Binary(randomBytes(chunkBytes)) } });
    let given = 0;
    const reading = (async () => {
      for await (const part of store.get(digest(bytes))) given += part.length;
    })();
    await expect(reading).rejects.toMatchObject({ type: 'ArtifactCorrupt' });
    expect(given).toBe(chunkBytes);
  });

  it('removes uploads that were abandoned, and no others', async () => {
    const [old, recent] = [randomBytes(2 * chunkBytes), randomBytes(2 * chunkBytes)];
    clock = new Date('2026-01-01T00:00:00Z');
    await expect(store.put(headerOf(old), breaksAfter(old, chunkBytes), { uploader })).rejects.toThrow();
    clock = new Date('2026-01-03T00:00:00Z');
    await expect(store.put(headerOf(recent), breaksAfter(recent, chunkBytes), { uploader })).rejects.toThrow();
    await store.removeAbandoned(new Date('2026-01-03T00:00:00Z'));
    expect(await store.upload(digest(old), uploader)).toEqual({ received: 0, complete: false });
    expect(await store.upload(digest(recent), uploader)).toEqual({ received: chunkBytes, complete: false });
  });

  it('keeps bytes from memory and refuses to read more than asked for', async () => {
    const document = { name: 'a.json', mediaType: 'application/json', bytes: randomBytes(50), uploader };
    const { artifact } = await putBytes(store, document);
    expect((await getBytes(store, artifact, 50)).equals(document.bytes)).toBe(true);
    await expect(getBytes(store, artifact, 49)).rejects.toMatchObject({ type: 'TooLarge' });
  });
});
