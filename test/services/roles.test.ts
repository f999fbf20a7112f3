import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { request as requestHttps } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, Metadata, status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Artifacts, DatabaseController, Lineage } from '../../proto/aats/data/v1/data_pb';
import { Approvals, ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { coordinatorConfig } from '../../services/communication-coordinator/config';
import { startCoordinator } from '../../services/communication-coordinator/service';
import { databaseControllerConfig } from '../../services/database-controller/config';
import { startDatabaseController } from '../../services/database-controller/service';
import { projectManagerConfig } from '../../services/project-manager/config';
import { startProjectManager } from '../../services/project-manager/service';
import { permissions } from '../../services/runtime/roles';
import { clientCredentials, type TlsMaterial } from '../../services/runtime/tls';
import { untilReady } from '../../stack/app';
import type { Role } from '../../workflows/contracts/people';
import { createAuthority } from '../support/authority';
import { type Issuer, person, startIssuer } from '../support/issuer';
import { tlsOf } from '../support/project-manager';
import { identityEnvironment } from '../support/stack';

const callers = ['admin', 'operator', 'viewer', 'service', 'agent', 'nobody', 'foreign'] as const;
type Caller = (typeof callers)[number];

/** Who may do what, as the specification's roles say it: written down here once more, not computed. */
const table: Readonly<Record<string, readonly Caller[]>> = {
  'ProjectManager/ValidatePlan': ['admin', 'operator', 'service'],
  'ProjectManager/StartPlan': ['admin', 'service'],
  'ProjectManager/GetPlan': ['admin', 'operator', 'service'],
  'ProjectManager/GetTask': ['admin', 'operator', 'service'],
  'ProjectManager/ListPlans': ['admin', 'operator', 'service'],
  'ProjectManager/WatchPlan': ['admin', 'operator', 'service'],
  'ProjectManager/PausePlan': ['admin', 'operator', 'service'],
  'ProjectManager/ResumePlan': ['admin', 'operator', 'service'],
  'ProjectManager/CancelPlan': ['admin', 'operator', 'service'],
  'ProjectManager/RetryTask': ['admin', 'operator', 'service'],
  'Approvals/ListApprovals': ['admin', 'operator', 'service'],
  'Approvals/GetApproval': ['admin', 'operator', 'service'],
  'Approvals/Decide': ['admin', 'operator'],
  'DatabaseController/GetStoreHealth': ['admin', 'operator', 'viewer', 'service'],
  'Artifacts/PutArtifact': ['admin', 'operator', 'service', 'agent'],
  'Artifacts/GetUpload': ['admin', 'operator', 'service', 'agent'],
  'Artifacts/GetArtifact': ['admin', 'operator', 'service', 'agent'],
  'Artifacts/StatArtifact': ['admin', 'operator', 'service', 'agent'],
  'Lineage/GetArtifactLineage': ['admin', 'operator', 'service'],
  'Lineage/GetPlanLineage': ['admin', 'operator', 'service'],
  'CommunicationCoordinator/RegisterAgent': ['admin', 'service', 'agent'],
  'CommunicationCoordinator/Heartbeat': ['admin', 'operator', 'service', 'agent'],
  'CommunicationCoordinator/DrainAgent': ['admin', 'operator', 'service', 'agent'],
  'CommunicationCoordinator/ListAgents': ['admin', 'operator', 'service'],
  'CommunicationCoordinator/GetAgent': ['admin', 'operator', 'service', 'agent'],
  'CommunicationCoordinator/ResolveRoutes': ['service'],
  'CommunicationCoordinator/CancelAttempts': ['service'],
};
/** Routes that are no RPC, on every service. */
const routes: Readonly<Record<string, readonly Caller[]>> = {
  '/metrics': ['admin', 'operator', 'viewer', 'service'],
  '/health': callers,
  '/openapi.json': callers,
};

const services: readonly (readonly [host: string, service: DescService])[] = [
  ['project-manager', ProjectManager],
  ['project-manager', Approvals],
  ['database-controller', DatabaseController],
  ['database-controller', Artifacts],
  ['database-controller', Lineage],
  ['communication-coordinator', CommunicationCoordinator],
];
const nameOf = ({ parent, name }: DescMethod): string => `${parent.typeName.split('.').at(-1) ?? ''}/${name}`;
const methods = services.flatMap(([host, service]) => service.methods.map((method) => ({ host, method })));

interface Cell {
  readonly caller: Caller;
  readonly allowed: boolean;
}
const expected = (row: readonly Caller[]): readonly Cell[] =>
  callers.map((caller) => ({ caller, allowed: row.includes(caller) }));

describe('who may do what, over gRPC and REST', () => {
  const ports = new Map<string, { readonly grpcPort: number; readonly restPort: number }>();
  const closers: (() => unknown)[] = [];
  const clients = new Map<string, Client>();
  const authority = createAuthority();
  const foreign = { ...authority.issue('URI:spiffe://aats/service/admin'), ca: tlsOf('admin').ca };
  let issuer: Issuer;

  beforeAll(async () => {
    issuer = await startIssuer(tlsOf('hitl'));
    const own = { AATS_JWKS_URL: issuer.jwksUrl, AATS_GRPC_PORT: 0, AATS_REST_PORT: 0 };
    const lifecycle = {
      logger: pino({ level: 'silent' }),
      onStop: (_name: string, close: () => unknown) => void closers.push(close),
    } as Parameters<typeof startProjectManager>[1];
    const environment = identityEnvironment;
    ports.set(
      'database-controller',
      await startDatabaseController(
        { ...databaseControllerConfig.parse(environment('database-controller')), ...own },
        lifecycle,
      ),
    );
    ports.set(
      'communication-coordinator',
      await startCoordinator(
        { ...coordinatorConfig.parse(environment('communication-coordinator')), ...own },
        lifecycle,
      ),
    );
    ports.set(
      'project-manager',
      await startProjectManager({ ...projectManagerConfig.parse(environment('project-manager')), ...own }, lifecycle),
    );
    const { AATS_CA_FILE: caFile = '' } = environment('admin');
    for (const { restPort } of ports.values())
      await untilReady(`https://localhost:${restPort}/health/ready`, caFile, 60);
  }, 120_000);
  afterAll(async () => {
    for (const client of clients.values()) client.close();
    for (const close of closers.reverse()) await close();
    await issuer.close();
    authority.remove();
  });

  const portsOf = (host: string): { readonly grpcPort: number; readonly restPort: number } => {
    const found = ports.get(host);
    if (!found) throw new Error(`${host} is not there`);
    return found;
  };
  const tlsFor = (caller: Caller): TlsMaterial | { readonly ca: Buffer } => {
    if (caller === 'service') return tlsOf('admin');
    if (caller === 'agent') return tlsOf('agent');
    return caller === 'foreign' ? foreign : { ca: tlsOf('admin').ca };
  };
  const tokenFor = (caller: Caller): string | undefined =>
    ['admin', 'operator', 'viewer'].includes(caller)
      ? issuer.token(person(`roles-${caller}`, `aats-${caller}` as Role))
      : undefined;

  const clientFor = (host: string, caller: Caller): Client => {
    // The coordinator talks to nobody without a certificate: a person comes through somebody who has one.
    const isPerson = tokenFor(caller) !== undefined;
    const tls = host === 'communication-coordinator' && isPerson ? tlsOf('agent') : tlsFor(caller);
    const key = `${host} ${isPerson ? 'person' : caller}`;
    const client = clients.get(key) ?? new Client(`localhost:${portsOf(host).grpcPort}`, clientCredentials(tls));
    clients.set(key, client);
    return client;
  };
  /** A store's first answer may be late on a busy machine, which says nothing of who may ask: three tries. */
  const patiently = async (ask: () => Promise<boolean>): Promise<boolean> => {
    for (let tries = 1; ; tries++) {
      try {
        return await ask();
      } catch (error) {
        if (tries === 3) throw error;
        await pause(1000);
      }
    }
  };
  /** Whether the caller comes through: its empty request is then answered, or refused for what it is. */
  const overGrpc = (host: string, method: DescMethod, caller: Caller): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const metadata = new Metadata();
      const token = tokenFor(caller);
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      const raw = (bytes: Buffer): Buffer => bytes;
      const path = `/${method.parent.typeName}/${method.name}`;
      const options = { deadline: Date.now() + 20_000 };
      const call = clientFor(host, caller).makeBidiStreamRequest(path, raw, raw, metadata, options);
      call.on('data', () => undefined);
      call.on('error', () => undefined);
      call.on('status', ({ code, details }) => {
        if (code === status.PERMISSION_DENIED || code === status.UNAUTHENTICATED) resolve(false);
        else if (code !== status.UNAVAILABLE && code !== status.DEADLINE_EXCEEDED) resolve(true);
        // Without a certificate of ours the coordinator's port does not even shake hands.
        else if (host === 'communication-coordinator' && ['nobody', 'foreign'].includes(caller)) resolve(false);
        else reject(new Error(`${path} as ${caller}: ${details}`));
      });
      call.end(Buffer.alloc(0));
    });
  const overRest = (host: string, method: string, path: string, caller: Caller): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const token = tokenFor(caller);
      const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }) };
      const url = `https://localhost:${portsOf(host).restPort}${path}`;
      requestHttps(url, { ...tlsFor(caller), method, headers, agent: false }, (incoming) => {
        incoming.resume();
        const { statusCode = 0 } = incoming;
        if (statusCode >= 500) reject(new Error(`${method} ${path} as ${caller}: ${statusCode}`));
        else resolve(statusCode !== 401 && statusCode !== 403);
      })
        .on('error', reject)
        .end();
    });
  const described = async (host: string): Promise<readonly { method: string; path: string; rpc: string }[]> => {
    const { paths } = (await await fetchJson(`https://localhost:${portsOf(host).restPort}/openapi.json`)) as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    return Object.entries(paths).flatMap(([path, of]) =>
      Object.entries(of).map(([method, { operationId }]) => ({ method: method.toUpperCase(), path, rpc: operationId })),
    );
  };
  const fetchJson = (url: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      requestHttps(url, { ca: tlsOf('admin').ca, agent: false }, (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (part: string) => (text += part));
        incoming.on('end', () => {
          resolve(JSON.parse(text));
        });
      })
        .on('error', reject)
        .end();
    });

  it('is written down for every method there is', () => {
    expect(Object.keys(table).sort()).toEqual(methods.map(({ method }) => nameOf(method)).sort());
    const rpcs = Object.keys(permissions).flatMap((name) => /^aats\.\w+\.v1\.(.+)$/.exec(name)?.[1] ?? []);
    expect(rpcs.sort()).toEqual(Object.keys(table).sort());
  });

  it.each(methods.map(({ host, method }) => [nameOf(method), host, method] as const))(
    'holds for %s over gRPC',
    async (name, host, method) => {
      const cells = callers.map(async (caller) => ({
        caller,
        allowed: await patiently(() => overGrpc(host, method, caller)),
      }));
      expect(await Promise.all(cells)).toEqual(expected(table[name] ?? []));
    },
    90_000,
  );

  it.each(['project-manager', 'database-controller', 'communication-coordinator'])(
    'holds for every route of the %s',
    async (host) => {
      const all = (await described(host)).map(({ method, path, rpc }) => {
        const name = Object.keys(table).find((one) => one.split('/')[1]?.toLowerCase() === rpc.toLowerCase()) ?? rpc;
        return { method, path: path.replace(/\{\w+\}/g, '1'), row: table[name] ?? [] };
      });
      const known = Object.entries(routes).map(([path, row]) => ({ method: 'GET', path, row }));
      for (const { method, path, row } of [...all, ...known]) {
        const cells = callers.map(async (caller) => ({
          caller,
          allowed: await patiently(() => overRest(host, method, path, caller)),
        }));
        expect([method, path, await Promise.all(cells)]).toEqual([method, path, expected(row)]);
      }
    },
    60_000,
  );
});
