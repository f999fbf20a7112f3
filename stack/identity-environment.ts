import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mongoDatabase, mongoOptions } from './ferretdb';
import { brokers } from './kafka';
import { registryUrl } from './schema-registry';
import type { StackContext } from './server';
import { type Identity, identities, type StackFile } from './stack-file';
import { namespace } from './temporal';

type Part = 'temporal' | 'mongo' | 'neo4j' | 'redis' | 'kafka' | 'registry' | 'rabbitmq' | 'tls' | 'services' | 'jwks';
type PostgresUser = 'aats_plans' | 'aats_signin' | 'aats_health' | 'admin';
interface Needs {
  readonly parts: readonly Part[];
  readonly postgres?: PostgresUser;
  readonly uri?: string;
  readonly ports?: Readonly<Record<string, number>>;
}

const needs = (ctx: StackContext): Readonly<Record<Identity, Needs>> => ({
  'project-manager': {
    parts: ['temporal', 'kafka', 'tls', 'services', 'jwks'],
    postgres: 'aats_plans',
    uri: 'service/project-manager',
    ports: { AATS_GRPC_PORT: ctx.port('projectManagerGrpc'), AATS_REST_PORT: ctx.port('projectManagerRest') },
  },
  'database-controller': {
    parts: ['mongo', 'neo4j', 'redis', 'kafka', 'tls', 'jwks'],
    postgres: 'aats_health',
    uri: 'service/database-controller',
    ports: { AATS_GRPC_PORT: ctx.port('databaseControllerGrpc'), AATS_REST_PORT: ctx.port('databaseControllerRest') },
  },
  'communication-coordinator': {
    parts: ['temporal', 'redis', 'kafka', 'registry', 'rabbitmq', 'tls', 'services', 'jwks'],
    uri: 'service/communication-coordinator',
    ports: {
      AATS_GRPC_PORT: ctx.port('communicationCoordinatorGrpc'),
      AATS_REST_PORT: ctx.port('communicationCoordinatorRest'),
    },
  },
  hitl: {
    parts: ['redis', 'tls', 'services'],
    postgres: 'aats_signin',
    uri: 'service/hitl',
    ports: { AATS_REST_PORT: ctx.port('hitl') },
  },
  'worker-plans': {
    parts: ['temporal', 'kafka', 'rabbitmq', 'tls', 'services', 'jwks'],
    uri: 'service/worker-plans',
    ports: { AATS_METRICS_PORT: ctx.port('workerMetrics') },
  },
  'worker-data': {
    parts: ['temporal', 'mongo', 'tls', 'jwks'],
    uri: 'service/worker-data',
    ports: { AATS_METRICS_PORT: ctx.port('workerMetrics') + 1 },
  },
  agent: { parts: ['kafka', 'rabbitmq', 'tls', 'services'], uri: 'agent/local' },
  cli: { parts: ['services'] },
  admin: {
    parts: ['temporal', 'mongo', 'neo4j', 'redis', 'kafka', 'registry', 'rabbitmq', 'tls', 'services', 'jwks'],
    postgres: 'admin',
    uri: 'service/admin',
  },
});

/** A server of the user's own is described by the user's own variables, the same for every identity. */
function given(prefix: string): Record<string, string> | undefined {
  const found = Object.entries(process.env).filter(
    (pair): pair is [string, string] => pair[0].startsWith(prefix) && pair[1] !== undefined,
  );
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

/** Who vouches for the servers: the stack's authority, and that of the user's own ones when `AATS_SERVERS_CA_FILE` names it. */
async function serversCa(ctx: StackContext, own: string): Promise<string> {
  const theirs = process.env['AATS_SERVERS_CA_FILE'];
  if (theirs === undefined) return own;
  const file = join(ctx.dataDir, 'run', 'servers-ca.pem');
  await writeFile(file, `${await readFile(own, 'utf8')}\n${await readFile(theirs, 'utf8')}`);
  return file;
}

async function environmentOf(ctx: StackContext, identity: Identity): Promise<Record<string, string>> {
  const { parts, postgres, uri, ports = {} } = needs(ctx)[identity];
  const secret = async (server: string): Promise<string> => (await ctx.secret(`${server}-${identity}`)).path;
  const of: Record<Part, () => Promise<Record<string, string>>> = {
    temporal: async () =>
      Promise.resolve({
        TEMPORAL_ADDRESS: process.env['TEMPORAL_ADDRESS'] ?? `127.0.0.1:${ctx.port('temporal')}`,
        TEMPORAL_NAMESPACE: process.env['TEMPORAL_NAMESPACE'] ?? namespace,
      }),
    mongo: async () =>
      given('AATS_MONGO_') ?? {
        AATS_MONGO_URL: `mongodb://${identity}@localhost:${ctx.port('mongo')}/${mongoDatabase}?tls=true&${mongoOptions}`,
        AATS_MONGO_PASSWORD_FILE: await secret('mongo'),
      },
    neo4j: async () =>
      given('AATS_NEO4J_') ?? {
        AATS_NEO4J_URL: `bolt://localhost:${ctx.port('neo4jBolt')}`,
        AATS_NEO4J_USER: identity === 'admin' ? 'neo4j' : identity,
        AATS_NEO4J_PASSWORD_FILE: await secret('neo4j'),
      },
    redis: async () =>
      given('AATS_REDIS_') ?? {
        AATS_REDIS_NODES: [0, 1, 2, 3, 4, 5].map((index) => `127.0.0.1:${ctx.port('redis') + index}`).join(','),
        AATS_REDIS_USER: identity,
        AATS_REDIS_PASSWORD_FILE: await secret('redis'),
      },
    kafka: async () =>
      given('AATS_KAFKA_') ?? {
        AATS_KAFKA_BROKERS: brokers(ctx).join(','),
        AATS_KAFKA_REPLICATION: String(ctx.brokers),
        AATS_KAFKA_USER: identity,
        AATS_KAFKA_PASSWORD_FILE: await secret('kafka'),
      },
    registry: async () =>
      Promise.resolve({ AATS_SCHEMA_REGISTRY_URL: process.env['AATS_SCHEMA_REGISTRY_URL'] ?? registryUrl(ctx) }),
    rabbitmq: async () =>
      given('AATS_RABBITMQ_') ?? {
        AATS_RABBITMQ_URL: `amqps://${identity}@localhost:${ctx.port('rabbitmq')}/aats`,
        AATS_RABBITMQ_PASSWORD_FILE: await secret('rabbitmq'),
      },
    tls: async () => {
      const files = await ctx.certificate(identity, { uri: uri ?? `service/${identity}` });
      return { AATS_CERT_FILE: files.cert, AATS_KEY_FILE: files.key };
    },
    services: async () =>
      Promise.resolve({
        AATS_PROJECT_MANAGER_ADDRESS: `localhost:${ctx.port('projectManagerGrpc')}`,
        AATS_DATABASE_CONTROLLER_ADDRESS: `localhost:${ctx.port('databaseControllerGrpc')}`,
        AATS_COORDINATOR_ADDRESS: `localhost:${ctx.port('communicationCoordinatorGrpc')}`,
        AATS_COORDINATOR_URL: `https://localhost:${ctx.port('communicationCoordinatorRest')}`,
        AATS_PROJECT_MANAGER_URL: `https://localhost:${ctx.port('projectManagerRest')}`,
        AATS_HITL_URL: `https://localhost:${ctx.port('hitl')}`,
      }),
    jwks: async () => Promise.resolve({ AATS_JWKS_URL: `https://localhost:${ctx.port('hitl')}/.well-known/jwks.json` }),
  };
  const chosen = await Promise.all(parts.map((part) => of[part]()));
  const database: Record<string, string> =
    postgres === undefined
      ? {}
      : (given('AATS_POSTGRES_') ?? {
          AATS_POSTGRES_URL: `postgres://${postgres}@localhost:${ctx.port('postgres')}/aats`,
          AATS_POSTGRES_PASSWORD_FILE: (await ctx.secret(`postgres-${postgres}`)).path,
        });
  const { ca } = await ctx.certificate('admin', { uri: 'service/admin' });
  return {
    AATS_CA_FILE: ca,
    AATS_SERVERS_CA_FILE: await serversCa(ctx, ca),
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    ...chosen.reduce((all, part) => ({ ...all, ...part }), {}),
    ...database,
    ...(identity === 'hitl' && {
      AATS_SIGNING_KEY_FILE: join(ctx.dataDir, 'secrets', 'signing-key.pem'),
      AATS_FACTOR_KEY_FILE: (await ctx.secret('hitl-factor-key')).path,
    }),
    ...(identity === 'agent' && { AATS_AGENT_DATA_DIR: join(ctx.dataDir, 'agents') }),
  };
}

/** Writes `run/stack.json` and gives its content. The same stack gives the same file. */
export async function writeStackFile(ctx: StackContext): Promise<StackFile> {
  const environments = await Promise.all(
    identities.map(async (identity) => [identity, await environmentOf(ctx, identity)] as const),
  );
  const file: StackFile = {
    version: 1,
    dataDir: ctx.dataDir,
    portOffset: ctx.portOffset,
    addresses: {
      page: `https://localhost:${ctx.port('hitl')}`,
      temporalUi: `http://localhost:${ctx.port('temporalUi')}`,
      rabbitmqManagement: `https://localhost:${ctx.port('rabbitmqManagement')}`,
      neo4j: `http://localhost:${ctx.port('neo4jHttp')}`,
    },
    identities: Object.fromEntries(environments) as unknown as StackFile['identities'],
  };
  await writeFile(join(ctx.dataDir, 'run', 'stack.json'), JSON.stringify(file, null, 2), { mode: 0o600 });
  return file;
}
