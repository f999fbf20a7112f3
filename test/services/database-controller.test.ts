import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as requestHttps } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { pino } from 'pino';
import {
  Artifacts,
  DatabaseController,
  Lineage,
  type PutArtifactRequest_PutHeaderSchema,
} from '../../proto/aats/data/v1/data_pb';
import { databaseControllerConfig } from '../../services/database-controller/config';
import { startDatabaseController } from '../../services/database-controller/service';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { clientCredentials, readTls, type TlsMaterial } from '../../services/runtime/tls';
import { eventTypes, topics } from '../../workflows/contracts/messages';
import { eventually } from '../support/project-manager';
import { identityEnvironment } from '../support/stack';

const digest = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const tlsOf = (identity: 'agent' | 'admin'): TlsMaterial => {
  const { AATS_CA_FILE = '', AATS_CERT_FILE = '', AATS_KEY_FILE = '' } = identityEnvironment(identity);
  return readTls({ AATS_CA_FILE, AATS_CERT_FILE, AATS_KEY_FILE });
};

describe('database controller', () => {
  const closers: (() => Promise<unknown>)[] = [];
  let ports: { readonly grpcPort: number; readonly restPort: number };
  let artifacts: GrpcClient<typeof Artifacts>;

  const clientOf = <S extends Parameters<typeof createGrpcClient>[0]>(service: S, tls: TlsMaterial): GrpcClient<S> => {
    const client = createGrpcClient(service, {
      address: `localhost:${ports.grpcPort}`,
      credentials: clientCredentials(tls),
    });
    closers.push(() => {
      client.close();
      return Promise.resolve();
    });
    return client;
  };
  interface Answer {
    readonly status: number;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly body: Buffer;
  }
  const get = (path: string, tls: Partial<TlsMaterial> = tlsOf('admin'), headers = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      requestHttps(`https://localhost:${ports.restPort}${path}`, { ...tls, headers, agent: false }, (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(parts) });
        });
        incoming.on('error', reject);
      })
        .on('error', reject)
        .end();
    });
  async function* upload(bytes: Buffer, more: MessageInitShape<typeof PutArtifactRequest_PutHeaderSchema> = {}) {
    const known = { artifact: digest(bytes), size: BigInt(bytes.length) };
    const header = { name: 'ünïcode "x".md', mediaType: 'text/markdown', ...known, ...more };
    yield { part: { case: 'header' as const, value: header } };
    for (let at = Number(more.offset ?? 0n); at < bytes.length; at += 300_000) {
      yield await Promise.resolve({ part: { case: 'chunk' as const, value: bytes.subarray(at, at + 300_000) } });
    }
  }
  const download = async (artifact: string, offset = 0n): Promise<Buffer> => {
    const parts: Uint8Array[] = [];
    for await (const { chunk } of artifacts.getArtifact({ artifact, offset })) parts.push(chunk);
    return Buffer.concat(parts);
  };

  beforeAll(async () => {
    const config = databaseControllerConfig.parse(identityEnvironment('database-controller'));
    ports = await startDatabaseController(
      { ...config, AATS_GRPC_PORT: 0, AATS_REST_PORT: 0 },
      { logger: pino({ level: 'silent' }), onStop: (_name, close) => closers.push(close) },
    );
    artifacts = clientOf(Artifacts, tlsOf('agent'));
  });
  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  });

  it('takes and gives back a document over gRPC', async () => {
    const bytes = randomBytes(1_300_000);
    const { artifact } = await artifacts.putArtifact(upload(bytes));
    expect(artifact).toMatchObject({ artifact: digest(bytes), mediaType: 'text/markdown', size: 1_300_000n });
    expect((await download(digest(bytes))).equals(bytes)).toBe(true);
    expect((await download(digest(bytes), 1_299_990n)).equals(bytes.subarray(1_299_990))).toBe(true);
    const stat = await artifacts.statArtifact({ artifact: digest(bytes) });
    expect(stat.artifact?.createdAt?.seconds).toBeGreaterThan(0n);
  });

  it('lets an agent go on after a broken upload', async () => {
    const bytes = randomBytes(1_300_000);
    const broken = (async function* () {
      let sent = 0;
      for await (const message of upload(bytes)) {
        if (sent++ > 3) throw new Error('cable pulled');
        yield message;
      }
    })();
    await expect(artifacts.putArtifact(broken)).rejects.toThrow();
    const { received, complete } = await artifacts.getUpload({ artifact: digest(bytes) });
    expect(complete).toBe(false);
    await artifacts.putArtifact(upload(bytes, { offset: received }));
    expect((await download(digest(bytes))).equals(bytes)).toBe(true);
  });

  it('answers failures with their type', async () => {
    await expect(artifacts.statArtifact({ artifact: digest(randomBytes(3)) })).rejects.toMatchObject({
      type: 'ArtifactNotFound',
    });
    const wrong = upload(randomBytes(10), { artifact: digest(randomBytes(3)) });
    await expect(artifacts.putArtifact(wrong)).rejects.toMatchObject({ type: 'InvalidInput' });
    const allWrong = upload(randomBytes(10), { name: '', mediaType: 'x', size: -1n, artifact: 'y', offset: -2n });
    await expect(artifacts.putArtifact(allWrong)).rejects.toMatchObject({
      type: 'InvalidInput',
      details: ['artifact', 'name', 'mediaType', 'size', 'offset'].map((field) => ({ pointer: `/header/${field}` })),
    });
    await expect(download(digest(randomBytes(3)))).rejects.toMatchObject({ type: 'ArtifactNotFound' });
  });

  it('asks every store', async () => {
    const controller = clientOf(DatabaseController, tlsOf('admin'));
    // The first answer of a store takes a connection, which a busy machine may not have in time.
    const { stores } = await eventually(
      () => controller.getStoreHealth({}),
      (all) => all.stores.every(({ healthy }) => healthy),
    );
    expect(stores.map(({ store, healthy, problem }) => ({ store, healthy, problem }))).toEqual(
      ['postgresql', 'mongodb', 'neo4j', 'redis'].map((store) => ({ store, healthy: true, problem: '' })),
    );
    await eventually(
      async () => (await get('/health/ready')).status,
      (status) => status === 200,
    );
    await eventually(
      async () => JSON.parse((await get('/v1/stores')).body.toString()) as { stores: { healthy: boolean }[] },
      (answer) => answer.stores.length === 4 && answer.stores.every(({ healthy }) => healthy),
    );
  });

  it('lets agents use artifacts and nothing else', async () => {
    await expect(clientOf(DatabaseController, tlsOf('agent')).getStoreHealth({})).rejects.toMatchObject({
      type: 'PermissionDenied',
    });
    await expect(clientOf(Lineage, tlsOf('agent')).getPlanLineage({ planId: 'x' })).rejects.toMatchObject({
      type: 'PermissionDenied',
    });
    expect((await get('/v1/stores', tlsOf('agent'))).status).toBe(403);
  });

  it('lets nobody in without an identity', async () => {
    const { ca } = tlsOf('admin');
    for (const path of ['/v1/stores', `/v1/artifacts/${digest(randomBytes(2))}`, '/v1/lineage/plans/x', '/metrics']) {
      expect((await get(path, { ca })).status).toBe(401);
    }
  });

  it('refuses what it does not know in a query', async () => {
    for (const path of ['/v1/stores', `/v1/artifacts/${digest(randomBytes(2))}`, '/v1/lineage/plans/x'])
      expect((await get(`${path}?colour=red`)).status).toBe(400);
  });

  it('gives documents over REST as downloads that cannot act as a page', async () => {
    const bytes = randomBytes(600_000);
    await artifacts.putArtifact(upload(bytes));
    const path = `/v1/artifacts/${digest(bytes)}`;
    const { status, headers, body } = await get(path);
    expect(status).toBe(200);
    expect(body.equals(bytes)).toBe(true);
    expect(headers).toMatchObject({
      'content-disposition': `attachment; filename="_n_code__x_.md"; filename*=UTF-8''%C3%BCn%C3%AFcode%20%22x%22.md`,
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'content-length': '600000',
    });
    expect((await get(path, tlsOf('admin'), { 'if-none-match': headers['etag'] })).status).toBe(304);
    const missing = await get(`/v1/artifacts/${digest(randomBytes(2))}`);
    expect(missing.headers['content-type']).toMatch('application/problem+json');
    expect(missing.status).toBe(404);
  });

  it('shows a plan in lineage once its changes are on the topic', async () => {
    const planId = `feed-${randomUUID().slice(0, 8)}`;
    const {
      AATS_KAFKA_BROKERS = '',
      AATS_KAFKA_USER = '',
      AATS_KAFKA_PASSWORD_FILE = '',
    } = identityEnvironment('admin');
    const kafka = new Kafka({
      brokers: AATS_KAFKA_BROKERS.split(','),
      logLevel: logLevel.NOTHING,
      ssl: { ca: [tlsOf('admin').ca] },
      sasl: {
        mechanism: 'scram-sha-512',
        username: AATS_KAFKA_USER,
        password: readFileSync(AATS_KAFKA_PASSWORD_FILE, 'utf8').trim(),
      },
    });
    const producer = kafka.producer();
    await producer.connect();
    closers.push(() => producer.disconnect());
    const artifact = digest(randomBytes(8));
    const task = { id: 'a', title: 'A', capability: 'x', state: 'succeeded', attempt: 1, needs: [], after: [] };
    const attempts = [{ taskId: 'a', attempt: 1, state: 'succeeded', produced: [artifact] }];
    const data = { planId, cursor: 1, at: new Date().toISOString(), tasks: [task], attempts };
    const event = { specversion: '1.0', id: `${planId}/1`, source: '/test', type: eventTypes.planChanged, data };
    const messages = [
      { key: planId, value: 'not an event' },
      { key: planId, value: JSON.stringify(event) },
    ];
    await producer.send({ topic: topics.plans, messages });

    const lineage = clientOf(Lineage, tlsOf('admin'));
    const ends = Date.now() + 90_000;
    let edges: readonly { readonly kind: string; readonly to: string }[] = [];
    while (edges.length === 0 && Date.now() < ends) {
      edges = await lineage.getPlanLineage({ planId }).then(
        (graph) => graph.edges,
        () => [],
      );
      await pause(200);
    }
    expect(edges).toContainEqual(expect.objectContaining({ kind: 'produced', to: artifact }));
    const graph = await get(`/v1/lineage/artifacts/${artifact}?depth=3`);
    expect(JSON.parse(graph.body.toString())).toMatchObject({ nodes: expect.arrayContaining([]) as unknown });
    expect((await get(`/v1/lineage/artifacts/${artifact}?depth=21`)).status).toBe(400);
  }, 120_000);
});
