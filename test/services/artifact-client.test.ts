import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createArtifactStore, type ArtifactStore } from '../../activities/stores/artifact-store';
import { createArtifactClient } from '../../agents/artifact-client';
import { Artifacts } from '../../proto/aats/data/v1/data_pb';
import { createArtifactHandlers } from '../../services/database-controller/artifact-handlers';
import { implement, startGrpcServer, type RunningGrpcServer } from '../../services/runtime/grpc';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { createIdentities } from '../../services/runtime/identity';
import { clientCredentials, readTls } from '../../services/runtime/tls';
import { failure } from '../../workflows/contracts/failures';
import { openTestDatabase } from '../support/mongo';
import { identityEnvironment } from '../support/stack';

const tlsOf = (identity: 'agent' | 'database-controller'): ReturnType<typeof readTls> => {
  const { AATS_CA_FILE = '', AATS_CERT_FILE = '', AATS_KEY_FILE = '' } = identityEnvironment(identity);
  return readTls({ AATS_CA_FILE, AATS_CERT_FILE, AATS_KEY_FILE });
};
const { signal } = new AbortController();

describe('artifact client', () => {
  let database: Awaited<ReturnType<typeof openTestDatabase>>;
  let store: ArtifactStore;
  let server: RunningGrpcServer;
  let grpc: GrpcClient<typeof Artifacts>;
  const folder = mkdtempSync(join(tmpdir(), 'aats-artifacts-'));
  let puts = 0;
  /** How many more streams the service breaks off after a while, as if MongoDB went away. */
  let breaks = 0;

  beforeAll(async () => {
    database = await openTestDatabase();
    store = createArtifactStore(database.db);
    const unsteady = async function* <T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
      let seen = 0;
      for await (const part of stream) {
        yield part;
        if (breaks > 0 && ++seen === 2) {
          breaks -= 1;
          throw failure('StoreUnavailable', 'gone for a moment');
        }
      }
    };
    const handlers = createArtifactHandlers({
      ...store,
      put: (header, content, from) => {
        puts += 1;
        return store.put(header, unsteady(content), from);
      },
      get: (artifact, offset) => unsteady(store.get(artifact, offset)),
    });
    const tls = tlsOf('database-controller');
    server = await startGrpcServer({
      tls,
      port: 0,
      requireClientCertificate: true,
      identities: createIdentities({ jwksUrl: 'https://localhost:1/', ca: tls.ca }),
      services: [implement(Artifacts, handlers)],
      logger: pino({ level: 'silent' }),
    });
    const address = `localhost:${server.port}`;
    grpc = createGrpcClient(Artifacts, { address, credentials: clientCredentials(tlsOf('agent')) });
  });
  afterAll(async () => {
    grpc.close();
    await server.drain(2);
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  const documentOf = (bytes: Buffer) => ({ name: 'a.bin', mediaType: 'application/octet-stream', bytes });

  it('keeps and fetches a document over a connection that breaks', async () => {
    const client = createArtifactClient(grpc);
    const bytes = randomBytes(3 * 1024 * 1024 + 17);
    breaks = 3;
    const reference = await client.put(documentOf(bytes), signal);
    expect(reference).toEqual({
      artifact: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
      name: 'a.bin',
      mediaType: 'application/octet-stream',
      size: bytes.length,
    });
    breaks = 3;
    const file = join(folder, 'a.bin');
    await client.fetch(reference, file, signal);
    expect(readFileSync(file).equals(bytes)).toBe(true);
    expect(breaks).toBe(0);
  });

  it('does not send again what is there', async () => {
    const client = createArtifactClient(grpc);
    const document = documentOf(randomBytes(10));
    await client.put(document, signal);
    const before = puts;
    await client.put(document, signal);
    expect(puts).toBe(before);
  });

  it('gives up at once when trying again cannot help', async () => {
    const reference = { artifact: `sha256:${'0'.repeat(64)}`, name: 'x', mediaType: 'text/plain', size: 1 };
    await expect(createArtifactClient(grpc).fetch(reference, join(folder, 'x'), signal)).rejects.toMatchObject({
      type: 'ArtifactNotFound',
    });
  });
});
