import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { setTimeout } from 'node:timers/promises';
import { type ClientReadableStream, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Artifacts, Lineage } from '../../proto/aats/data/v1/data_pb';
import { ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { tlsConfig } from '../../services/runtime/config';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { clientCredentials, readTls, type TlsMaterial } from '../../services/runtime/tls';
import { untilReady } from '../../stack/app';
import { createStackContext } from '../../stack/context';
import { ferretdb } from '../../stack/ferretdb';
import { neo4j } from '../../stack/neo4j';
import { postgres } from '../../stack/postgres';
import { rabbitmq } from '../../stack/rabbitmq';
import { redis } from '../../stack/redis';
import type { Identity } from '../../stack/stack-file';
import { signalServer, startSystem, type System, until } from '../support/system';

type Service = Extract<Identity, 'project-manager' | 'database-controller' | 'communication-coordinator' | 'hitl'>;
interface Answer {
  readonly status: number;
  readonly body: string;
}

let system: System;
let tls: TlsMaterial;
const closers: (() => void)[] = [];
beforeAll(async () => {
  system = await startSystem({ agents: [] });
  tls = readTls(tlsConfig.parse(system.stack.identities.admin));
}, 120_000);
afterAll(async () => {
  for (const close of closers) close();
  await system.stop();
}, 60_000);

const grpcAddress = (name: Service): string => `localhost:${system.stack.identities[name]['AATS_GRPC_PORT'] ?? ''}`;
const restUrl = (name: Service): string => `https://localhost:${system.stack.identities[name]['AATS_REST_PORT'] ?? ''}`;
const client = <S extends Parameters<typeof createGrpcClient>[0]>(service: S, name: Service): GrpcClient<S> => {
  const made = createGrpcClient(service, { address: grpcAddress(name), credentials: clientCredentials(tls) });
  closers.push(() => {
    made.close();
  });
  return made;
};
const read = async (response: IncomingMessage): Promise<Answer> => {
  let body = '';
  for await (const part of response) body += String(part);
  return { status: response.statusCode ?? 0, body };
};
/** A request of which the service has the head and not the body; `finish` sends that and gives the answer. */
const beginRequest = async (url: string): Promise<(body: object) => Promise<Answer>> => {
  const headers = { 'content-type': 'application/json', expect: '100-continue' };
  const call = request(url, { ...tls, method: 'POST', agent: false, headers });
  call.flushHeaders();
  await once(call, 'continue');
  return async (body) => {
    const [response] = (await once(call.end(JSON.stringify(body)), 'response')) as [IncomingMessage];
    return read(response);
  };
};
const ask = async (url: string, body?: object, identity: TlsMaterial | { ca: Buffer } = tls): Promise<Answer> => {
  const call = request(url, {
    ...identity,
    method: body ? 'POST' : 'GET',
    agent: false,
    ...(body && { headers: { 'content-type': 'application/json' } }),
  });
  const [response] = (await once(call.end(body && JSON.stringify(body)), 'response')) as [IncomingMessage];
  return read(response);
};
const ready = async (name: Service): Promise<void> =>
  untilReady(`${restUrl(name)}/health/ready`, system.stack.identities.cli['AATS_CA_FILE'] ?? '', 90);
const unready = async (name: Service): Promise<readonly string[]> => {
  const { dependencies } = JSON.parse((await ask(`${restUrl(name)}/health/ready`)).body) as {
    dependencies: { name: string; healthy: boolean }[];
  };
  return dependencies.flatMap((one) => (one.healthy ? [] : [one.name]));
};
const tell = (name: Service, signal: NodeJS.Signals): void => {
  const pid = system.supervisor.pid(name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  process.kill(pid, signal);
};
const refuses = (name: Service): Promise<boolean> =>
  ask(`${restUrl(name)}/health`).then(
    () => false,
    () => true,
  );
/** What a service says of itself over gRPC, as it changes. */
const watchHealth = (name: Service): string[] => {
  const Health = loadPackageDefinition({ Health: healthService })['Health'] as ServiceClientConstructor;
  const health = new Health(grpcAddress(name), clientCredentials(tls));
  const watch = health['watch'] as (request: object) => ClientReadableStream<{ readonly status: string }>;
  const seen: string[] = [];
  watch
    .call(health, { service: '' })
    .on('data', ({ status }: { readonly status: string }) => seen.push(status))
    .on('error', () => undefined); // it ends with the service
  closers.push(() => {
    health.close();
  });
  return seen;
};

/** New in each run: a name has ten tries in a quarter of an hour. */
const nobody = `nobody-${Date.now()}`;

/** How long services wait for what was begun: nothing that they serve may take all of it. */
const graceMs = 10_000;

describe('a service that is told to stop', () => {
  /** Waits until new calls are refused, ends what was begun before, and sees the process end in order. */
  const endsInOrder = async (name: Service, health: readonly string[], finish: () => Promise<unknown>) => {
    const before = system.exits.length;
    const toldAt = Date.now();
    tell(name, 'SIGTERM');
    if (name !== 'hitl')
      await until(
        () => Promise.resolve(health.at(-1)),
        (status) => status === 'NOT_SERVING',
        15,
      );
    await until(() => refuses(name), Boolean, 15);
    const answer = await finish();
    await until(
      () => Promise.resolve(system.exits),
      (exits) => exits.length > before,
      30,
    );
    expect(system.exits.slice(before)).toEqual([{ name, code: 0 }]);
    expect(Date.now() - toldAt).toBeLessThan(graceMs);
    await ready(name);
    return answer;
  };

  it.each([
    ['project-manager', '/v1/plans/validate', { plan: { document: 'name: x' } }, 200],
    ['communication-coordinator', '/v1/agents/nobody/drain', {}, 404],
    ['hitl', '/v1/sign-in', { name: nobody, password: 'none' }, 401],
  ] as const)(
    '%s answers what it was asked before, and exits 0',
    async (name, path, body, status) => {
      const health = name === 'hitl' ? [] : watchHealth(name);
      const finish = await beginRequest(`${restUrl(name)}${path}`);
      expect(await endsInOrder(name, health, () => finish(body))).toMatchObject({ status });
    },
    120_000,
  );

  it('database-controller takes the rest of an upload, and exits 0', async () => {
    const content = Buffer.from(`outage ${Date.now()}`);
    const artifact = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    const header = { name: 'x', mediaType: 'text/plain', artifact, size: BigInt(content.length) };
    let sendRest: () => void = () => undefined;
    const rest = new Promise<void>((resolve) => (sendRest = resolve));
    const health = watchHealth('database-controller');
    const upload = client(Artifacts, 'database-controller').putArtifact(
      (async function* () {
        yield { part: { case: 'header' as const, value: header } };
        await rest;
        yield { part: { case: 'chunk' as const, value: content } };
      })(),
    );
    await until(
      () => Promise.resolve(health),
      (seen) => seen.length > 0,
      15,
    );
    await setTimeout(500); // both travel on connections of their own
    const answer = await endsInOrder('database-controller', health, () => {
      sendRest();
      return upload;
    });
    expect(answer).toMatchObject({ artifact: { artifact } });
  }, 120_000);

  it('project-manager sends those who watch elsewhere', async () => {
    const plans = client(ProjectManager, 'project-manager');
    const planId = `stopping-${Date.now()}`;
    const value = JSON.stringify({ name: 'stopping', tasks: [{ id: 'never', capability: 'nobody-offers-this' }] });
    await plans.startPlan({ planId, plan: { source: { case: 'document', value } } });
    const watch = plans.watchPlan({ planId })[Symbol.asyncIterator]();
    const readOn = async (): Promise<void> => {
      while ((await watch.next()).done !== true);
    };
    await watch.next();
    tell('project-manager', 'SIGTERM');
    await expect(readOn()).rejects.toMatchObject({ type: 'Draining' });
    await ready('project-manager');
    await plans.cancelPlan({ planId });
  }, 120_000);
});

/** Half of what callers wait who set no deadline of their own. */
const soonMs = 15_000;

it('shows figures of workers to those only who may see those of services', async () => {
  for (const name of ['worker-plans', 'worker-data'] as const) {
    const url = `https://localhost:${system.stack.identities[name]['AATS_METRICS_PORT'] ?? ''}`;
    await untilReady(`${url}/health/ready`, system.stack.identities.cli['AATS_CA_FILE'] ?? '', 60);
    const figures = await ask(`${url}/metrics`);
    expect(figures).toMatchObject({ status: 200, body: expect.stringContaining(`service="${name}"`) as unknown });
    expect(await ask(`${url}/metrics`, undefined, { ca: tls.ca })).toMatchObject({ status: 401 });
  }
}, 90_000);

describe('stores that are away', () => {
  const signIn = (): Promise<Answer> => ask(`${restUrl('hitl')}/v1/sign-in`, { name: nobody, password: 'none' });
  const absent = `sha256:${'0'.repeat(64)}`;

  it('are named by readiness and by each call that needs them, soon, and everything goes on when they are back', async () => {
    const [plans, artifacts, lineage, agents] = [
      client(ProjectManager, 'project-manager'),
      client(Artifacts, 'database-controller'),
      client(Lineage, 'database-controller'),
      client(CommunicationCoordinator, 'communication-coordinator'),
    ];
    const away = (message: string) => ({ message: expect.stringContaining(message) as unknown });
    const names: readonly Service[] = ['project-manager', 'database-controller', 'communication-coordinator', 'hitl'];
    const servers = [postgres, ferretdb, neo4j, rabbitmq, redis];
    for (const server of servers) await signalServer(system, server, 'SIGSTOP');
    try {
      expect(await Promise.all(names.map(unready))).toEqual([
        ['postgresql'],
        ['postgresql', 'mongodb', 'neo4j', 'redis'],
        ['redis', 'rabbitmq'],
        ['postgresql', 'redis'],
      ]);
      const document = JSON.stringify({ name: 'x', tasks: [{ id: 'a', capability: 'echo' }] });
      const plan = { source: { case: 'document' as const, value: document } };
      const askedAt = Date.now();
      await Promise.all([
        expect(plans.startPlan({ planId: `away-${Date.now()}`, plan })).rejects.toMatchObject({
          type: 'StoreUnavailable',
          ...away('PostgreSQL'),
        }),
        expect(artifacts.statArtifact({ artifact: absent })).rejects.toMatchObject({
          type: 'StoreUnavailable',
          ...away('MongoDB'),
        }),
        expect(lineage.getPlanLineage({ planId: 'none' })).rejects.toMatchObject({
          type: 'StoreUnavailable',
          ...away('Neo4j'),
        }),
        expect(agents.listAgents({})).rejects.toMatchObject({ type: 'StoreUnavailable', ...away('Redis') }),
        signIn().then((answer) => {
          expect(answer).toMatchObject({ status: 503, body: expect.stringContaining('Redis') as unknown });
        }),
      ]);
      expect(Date.now() - askedAt).toBeLessThan(soonMs);
    } finally {
      for (const server of servers) await signalServer(system, server, 'SIGCONT');
    }
    await Promise.all(names.map(ready));
    expect(await signIn()).toMatchObject({ status: 401 });
    await expect(artifacts.statArtifact({ artifact: absent })).rejects.toMatchObject({ type: 'ArtifactNotFound' });
    await expect(lineage.getPlanLineage({ planId: 'none' })).rejects.toMatchObject({ type: 'PlanNotFound' });
  }, 180_000);

  it('may be away when a service starts: it says so, and uses them once they are there', async () => {
    const ctx = await createStackContext({
      dataDir: system.stack.dataDir,
      portOffset: system.stack.portOffset,
    });
    for (const name of ferretdb.processes(ctx)) await ctx.stopProcess(name, { signal: 'SIGKILL' });
    const artifacts = client(Artifacts, 'database-controller');
    await system.supervisor.kill('database-controller');
    await until(
      () => unready('database-controller').catch((): readonly string[] => []),
      (away) => away.includes('mongodb'),
      60,
    );
    await expect(artifacts.statArtifact({ artifact: absent })).rejects.toMatchObject({ type: 'StoreUnavailable' });
    await ferretdb.start(ctx);
    await ready('database-controller');
    await expect(artifacts.statArtifact({ artifact: absent })).rejects.toMatchObject({ type: 'ArtifactNotFound' });
  }, 180_000);
});
