import { getEventListeners } from 'node:events';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Client, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { pino } from 'pino';
import { Artifacts } from '../../proto/aats/data/v1/data_pb';
import { ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { type CallContext, implement, type RunningGrpcServer, startGrpcServer } from '../../services/runtime/grpc';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { createIdentities } from '../../services/runtime/identity';
import { clientCredentials, type TlsMaterial } from '../../services/runtime/tls';
import { failure } from '../../workflows/contracts/failures';
import { type Authority, createAuthority } from '../support/authority';
import { type Issuer, person, startIssuer } from '../support/issuer';
import { handlersOf } from '../support/service';

const petra = person('petra', 'aats-operator');

describe('gRPC', () => {
  let authority: Authority;
  let issuer: Issuer;
  let server: RunningGrpcServer;
  let service: TlsMaterial;
  let agent: TlsMaterial;
  const closers: (() => void)[] = [];
  const calls: CallContext[] = [];
  const lines: string[] = [];
  let produced = 0;
  let said = '';
  let cancelled: (() => void) | undefined;

  const plans = handlersOf(ProjectManager, {
    getPlan: ({ planId }, call) => {
      calls.push(call);
      if (planId === 'unknown') throw failure('PlanNotFound', said);
      if (planId === 'bug') throw new Error('password=hunter2');
      if (planId === 'slow')
        return new Promise((resolve) => {
          call.signal.addEventListener('abort', () => {
            cancelled?.();
            resolve({});
          });
        });
      const details = Array.from({ length: 500 }, (_, at) => ({ pointer: `/tasks/${at}`, message: 'x'.repeat(50) }));
      if (planId === 'wrong') throw failure('PlanInvalid', 'the plan has 500 problems', { details });
      return Promise.resolve({ plan: { planId, title: 'x'.repeat(planId === 'large' ? 2_000_000 : 1) } });
    },
    async *watchPlan({ planId }, { signal }) {
      for (produced = 0; produced < 200 && !signal.aborted; produced++) {
        if (planId === 'broken' && produced === 2) throw failure('SlowReader', 'too slow');
        yield await Promise.resolve({ event: { case: 'progress' as const, value: { taskId: 'x'.repeat(100_000) } } });
      }
      cancelled?.();
    },
  });
  const artifacts = handlersOf(Artifacts, {
    putArtifact: async (requests) => {
      let size = 0n;
      for await (const { part } of requests) {
        if (part.case === 'header') throw failure('TooLarge', 'that is too large');
        size += part.case === 'chunk' ? BigInt(part.value.length) : 0n;
      }
      return { artifact: { size } };
    },
  });

  const clientOf = (tls: TlsMaterial | { ca: Buffer }, token?: string, surface?: 'web' | 'cli') => {
    const client = createGrpcClient(ProjectManager, {
      address: `localhost:${server.port}`,
      credentials: clientCredentials(tls),
      token: () => token,
      ...(surface && { surface }),
    });
    closers.push(() => {
      client.close();
    });
    return client;
  };
  let client: GrpcClient<typeof ProjectManager>;

  beforeAll(async () => {
    authority = createAuthority();
    issuer = await startIssuer(authority.issue());
    [service, agent] = [
      authority.issue('URI:spiffe://aats/service/one'),
      authority.issue('URI:spiffe://aats/agent/one'),
    ];
    server = await startGrpcServer({
      tls: service,
      port: 0,
      requireClientCertificate: false,
      identities: createIdentities({ jwksUrl: issuer.jwksUrl, ca: authority.ca }),
      services: [implement(ProjectManager, plans), implement(Artifacts, artifacts)],
      logger: pino({}, { write: (line: string) => void lines.push(line) }),
      maxMessageBytes: 1024 * 1024,
    });
    client = clientOf(service);
  });
  afterAll(async () => {
    for (const close of closers) close();
    await server.drain(0);
    await issuer.close();
    authority.remove();
  });

  it('knows who calls by certificate or by token, and the token wins', async () => {
    const { ca } = authority;
    calls.length = 0;
    await client.getPlan({ planId: 'a' });
    await clientOf({ ca }, issuer.token(petra)).getPlan({ planId: 'a' });
    await clientOf(service, issuer.token(petra)).getPlan({ planId: 'a' });
    expect(calls.map(({ caller }) => caller)).toEqual([
      { kind: 'service', name: 'one' },
      { kind: 'person', person: petra, tokenId: expect.any(String) as unknown },
      { kind: 'person', person: petra, tokenId: expect.any(String) as unknown },
    ]);
  });

  it('follows the signal of a call no longer than the call lasts', async () => {
    const { signal } = new AbortController();
    await client.getPlan({ planId: 'a' }, { signal });
    await client.getPlan({ planId: 'bug' }, { signal }).catch(() => undefined);
    await expect(async () => {
      for await (const { event } of client.watchPlan({ planId: 'broken' }, { signal }))
        expect(event.case).toBe('progress');
    }).rejects.toMatchObject({ type: 'SlowReader' });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('takes a certificate of another authority with our name in it for nobody', async () => {
    const other = createAuthority();
    const foreign = { ...other.issue('URI:spiffe://aats/service/one'), ca: authority.ca };
    await expect(clientOf(foreign).getPlan({ planId: 'a' })).rejects.toMatchObject({ type: 'Unauthenticated' });
    await expect(clientOf({ ca: authority.ca }).getPlan({ planId: 'a' })).rejects.toMatchObject({
      type: 'Unauthenticated',
    });
    other.remove();
  });

  it('believes a service on which surface a person stands, and nobody else', async () => {
    calls.length = 0;
    await clientOf(service, issuer.token(petra), 'web').getPlan({ planId: 'a' });
    await clientOf(agent, issuer.token(petra), 'web').getPlan({ planId: 'a' });
    await clientOf({ ca: authority.ca }, issuer.token(petra), 'cli').getPlan({ planId: 'a' });
    expect(calls.map(({ surface }) => surface)).toEqual(['web', 'grpc', 'cli']);
  });

  it('lets roles decide', async () => {
    const { ca } = authority;
    const viewer = clientOf({ ca }, issuer.token(person('vera', 'aats-viewer')));
    await expect(viewer.getPlan({ planId: 'a' })).rejects.toMatchObject({
      type: 'PermissionDenied',
      message: 'vera may not read tasks',
    });
    await expect(clientOf(agent).getPlan({ planId: 'a' })).rejects.toMatchObject({ type: 'PermissionDenied' });
    const operator = clientOf({ ca }, issuer.token(petra));
    await expect(operator.startPlan({ planId: 'a' })).rejects.toMatchObject({ type: 'PermissionDenied' });
  });

  it('carries the type of a failure and as many of its details as fit', async () => {
    const error: unknown = await client.getPlan({ planId: 'wrong' }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ type: 'PlanInvalid', message: 'the plan has 500 problems', retryable: false });
    expect((error as { details: unknown[] }).details.length).toBeGreaterThan(20);
  });

  it('cuts a message that says too much, also in the middle of a character', async () => {
    for (said of ['x'.repeat(900_000), `x${'😀'.repeat(10_000)}`, '\ud83d'])
      await expect(client.getPlan({ planId: 'unknown' })).rejects.toMatchObject({ type: 'PlanNotFound' });
    expect((await client.getPlan({ planId: 'a' })).plan).toMatchObject({ planId: 'a' });
  });
  it('tells nothing of a bug but the id under which the log has it', async () => {
    lines.length = 0;
    const error: unknown = await client.getPlan({ planId: 'bug' }).catch((cause: unknown) => cause);
    const { type, message } = error as { type: string; message: string };
    expect(type).toBe('Internal');
    const [id = 'none'] = /[0-9a-f-]{36}/.exec(message) ?? [];
    expect(message).not.toContain('hunter2');
    expect(lines.find((line) => line.includes(id))).toContain('hunter2');
  });

  it("refuses what is no request, or has fields that nobody knows, as the sender's fault", async () => {
    const raw = new Client(`localhost:${server.port}`, clientCredentials(service));
    closers.push(() => {
      raw.close();
    });
    const send = (bytes: Buffer): Promise<{ code: number; details: string }> =>
      new Promise((resolve) => {
        const keep = (value: Buffer): Buffer => value;
        const path = '/aats.project.v1.ProjectManager/GetPlan';
        raw.makeUnaryRequest(path, keep, keep, bytes, () => undefined).on('status', resolve);
      });
    const planId = Buffer.from([0x0a, 1, 0x61]);
    expect(await send(planId)).toMatchObject({ code: 0 });
    expect(await send(Buffer.concat([planId, Buffer.from([0x98, 0x06, 1])]))).toMatchObject({
      code: 3,
      details: 'the request has fields that this server does not know',
    });
    for (const garbage of [Buffer.from([0x0a, 200]), Buffer.alloc(1000, 0xff), Buffer.alloc(10_000, 0x0b)])
      expect(await send(garbage)).toMatchObject({
        code: 3,
        details: 'the request is no aats.project.v1.GetPlanRequest',
      });
  });

  it('refuses requests over its limit', async () => {
    await expect(client.getPlan({ planId: 'x'.repeat(1_100_000) })).rejects.toMatchObject({ type: 'TooLarge' });
  });

  it('stops work whose caller is gone or whose deadline has passed', async () => {
    const stopped = new Promise<void>((resolve) => (cancelled = resolve));
    await expect(client.getPlan({ planId: 'slow' }, { timeoutMs: 1000 })).rejects.toMatchObject({
      type: 'WorkflowUnavailable',
    });
    await stopped;
    const gone = new AbortController();
    const stoppedToo = new Promise<void>((resolve) => (cancelled = resolve));
    const reading = (async () => {
      for await (const event of client.watchPlan({ planId: 'a' }, { signal: gone.signal }))
        if (event.event.case) gone.abort();
    })();
    await expect(reading).rejects.toMatchObject({ type: 'Cancelled' });
    await stoppedToo;
  });

  it('produces no faster than its reader reads', async () => {
    const events = client.watchPlan({ planId: 'a' })[Symbol.asyncIterator]();
    await events.next();
    for (let i = 0; i < 30; i++) await clientOf(service).getPlan({ planId: 'a' });
    expect(produced).toBeLessThan(50);
    let read = 1;
    while ((await events.next()).done !== true) read++;
    expect(read).toBe(200);
  });

  it('ends a broken stream with its status after what was sent before', async () => {
    let read = 0;
    const reading = (async () => {
      for await (const event of client.watchPlan({ planId: 'broken' })) read += event.event.case ? 1 : 0;
    })();
    await expect(reading).rejects.toMatchObject({ type: 'SlowReader' });
    expect(read).toBe(2);
  });

  it('takes streams', async () => {
    const uploads = createGrpcClient(Artifacts, {
      address: `localhost:${server.port}`,
      credentials: clientCredentials(agent),
    });
    closers.push(() => {
      uploads.close();
    });
    async function* chunks() {
      for (let i = 0; i < 50; i++)
        yield await Promise.resolve({ part: { case: 'chunk' as const, value: new Uint8Array(100_000) } });
    }
    expect((await uploads.putArtifact(chunks())).artifact?.size).toBe(5_000_000n);

    // What is refused is not sent to its end.
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => (leave = resolve));
    async function* endless() {
      try {
        yield { part: { case: 'header' as const, value: {} } };
        for (;;) yield await Promise.resolve({ part: { case: 'chunk' as const, value: new Uint8Array(100_000) } });
      } finally {
        leave();
      }
    }
    await expect(uploads.putArtifact(endless())).rejects.toMatchObject({ type: 'TooLarge' });
    await left;
  });

  it('answers for its health', async () => {
    const Health = loadPackageDefinition({ Health: healthService })['Health'] as ServiceClientConstructor;
    const health = new Health(`localhost:${server.port}`, clientCredentials(service));
    closers.push(() => {
      health.close();
    });
    const check = (name: string): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const method = health['check'] as (
          request: object,
          done: (error: Error | null, answer: unknown) => void,
        ) => void;
        method.call(health, { service: name }, (error, answer) => {
          if (error) reject(error);
          else resolve(answer);
        });
      });
    await expect(check('')).resolves.toEqual({ status: 'SERVING' });
    await expect(check('aats.project.v1.ProjectManager')).resolves.toEqual({ status: 'SERVING' });
  });

  it('describes itself to whoever is somebody', async () => {
    const ask = (tls: TlsMaterial | { ca: Buffer }): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        const raw = new Client(`localhost:${server.port}`, clientCredentials(tls));
        closers.push(() => {
          raw.close();
        });
        const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
        const keep = (bytes: Buffer): Buffer => bytes;
        const stream = raw.makeBidiStreamRequest(path, keep, keep);
        stream.on('data', resolve);
        stream.on('error', reject);
        // ServerReflectionRequest.file_containing_symbol = 4
        const symbol = Buffer.from('aats.project.v1.ProjectManager');
        stream.end(Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]));
      });
    const files = filesIn(await ask(agent));
    const whole = files.find(({ name }) => name === 'aats/project/v1/project.proto');
    if (!whole) throw new Error('the file of the service is missing');
    const linked = createFileRegistry(whole, (name) => files.find((file) => file.name === name));
    expect(linked.getService('aats.project.v1.ProjectManager')?.methods).toHaveLength(ProjectManager.methods.length);
    await expect(ask({ ca: authority.ca })).rejects.toMatchObject({ code: 16 });
  });
});

/** ServerReflectionResponse.file_descriptor_response = 4, its file_descriptor_proto = 1. */
function filesIn(response: Uint8Array): readonly FileDescriptorProto[] {
  return fieldsOf(response, 4)
    .flatMap((part) => fieldsOf(part, 1))
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

function fieldsOf(message: Uint8Array, wanted: number): readonly Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted) found.push(reader.bytes());
    else reader.skip(type, field);
  }
  return found;
}
