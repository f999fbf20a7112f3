import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { ConfigResourceTypes } from 'kafkajs';
import { createStackContext } from '../../stack/context';
import { kafkaAsAdmin } from '../../stack/kafka';
import { here, scaledDown } from '../../stack/limits';
import { connectNeo4j } from '../../stack/neo4j';
import { ports } from '../../stack/ports';
import { connectAsSuperuser } from '../../stack/postgres';
import { manage } from '../../stack/rabbitmq';
import { connectRedis } from '../../stack/redis';
import { topics } from '../../workflows/contracts/messages';
import { stackFile } from '../support/stack';

const context = () => {
  const { dataDir, portOffset } = stackFile();
  return createStackContext({ dataDir, portOffset });
};

/** The version that the server and a client agree on; PostgreSQL wants to be asked for TLS in clear first. */
const negotiated = (port: number, asksFirst: boolean, options: ConnectionOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.once('error', reject);
    const shake = (): void => {
      const secure = connectTls({ socket, servername: 'localhost', ...options });
      secure.once('error', reject);
      secure.once('secureConnect', () => {
        resolve(secure.getProtocol() ?? '');
        secure.destroy();
      });
    };
    if (!asksFirst) socket.once('connect', shake);
    else {
      socket.once('data', shake);
      socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])); // SSLRequest
    }
  });

// Read back from the running servers: the specification's value, or the scaled-down one that limits.ts gives a reason for.
describe('values of the specification', () => {
  it('are PostgreSQL’s', async () => {
    const client = await connectAsSuperuser(await context(), 'postgres');
    try {
      const { rows } = await client.query<{ name: string; value: string }>(
        "select name, current_setting(name) as value from pg_settings where name in ('max_connections','work_mem','wal_level','archive_mode','shared_buffers','effective_cache_size','maintenance_work_mem','ssl','ssl_min_protocol_version')",
      );
      expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual({
        max_connections: '1000',
        work_mem: '32MB',
        wal_level: 'logical',
        archive_mode: 'on',
        ssl: 'on',
        ssl_min_protocol_version: 'TLSv1.3',
        shared_buffers: here('postgres', 'shared_buffers'),
        effective_cache_size: here('postgres', 'effective_cache_size'),
        maintenance_work_mem: here('postgres', 'maintenance_work_mem'),
      });
    } finally {
      await client.end();
    }
  });

  it('are Redis’', async () => {
    const cluster = await connectRedis(await context());
    try {
      await cluster.connect();
      const node = cluster.nodes('master')[0];
      const value = async (name: string): Promise<string> => ((await node?.config('GET', name)) as string[])[1] ?? '';
      expect({
        policy: await value('maxmemory-policy'),
        aof: await value('appendonly'),
        rdb: await value('save'),
        cluster: await value('cluster-enabled'),
        memory: Number(await value('maxmemory')) / 1024 / 1024,
      }).toEqual({
        policy: 'volatile-lru',
        aof: 'yes',
        rdb: '900 1',
        cluster: 'yes',
        memory: Number.parseInt(here('redis', 'maxmemory'), 10),
      });
      expect(cluster.nodes('slave')).toHaveLength(3);
    } finally {
      cluster.disconnect();
    }
  });

  it('are Kafka’s: every topic is of the four kinds, and keeps its messages for 7 days', async () => {
    const admin = (await kafkaAsAdmin(await context())).admin();
    try {
      await admin.connect();
      const own = (await admin.listTopics()).filter((name) => !name.startsWith('__'));
      expect(own).toEqual(expect.arrayContaining([topics.plans, topics.agents, topics.deadLetters]));
      for (const name of own) expect(name).toMatch(/^(agent\.(tasks|status|metrics)|system\.events)\./);
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: own.map((name) => ({ type: ConfigResourceTypes.TOPIC, name, configNames: ['retention.ms'] })),
      });
      for (const { configEntries } of resources)
        expect(configEntries[0]?.configValue).toBe(String(7 * 24 * 3600 * 1000));
    } finally {
      await admin.disconnect();
    }
  });

  it('are Neo4j’s sizes, as far as a laptop has them', async () => {
    const driver = await connectNeo4j(await context());
    try {
      const { records } = await driver.executeQuery(
        "SHOW SETTINGS 'server.memory.pagecache.size', 'dbms.security.auth_enabled', 'server.bolt.tls_level' YIELD name, value",
      );
      expect(Object.fromEntries(records.map((row) => [row.get('name'), row.get('value')]))).toEqual({
        'server.memory.pagecache.size': `${Number.parseInt(here('neo4j', 'server.memory.pagecache.size'), 10).toFixed(2)}MiB`,
        'dbms.security.auth_enabled': 'true',
        'server.bolt.tls_level': 'REQUIRED',
      });
    } finally {
      await driver.close();
    }
  });

  it('are the ports', () => {
    expect(ports).toMatchObject({
      projectManagerGrpc: 50060,
      projectManagerRest: 8090,
      databaseControllerGrpc: 50061,
      databaseControllerRest: 8091,
      communicationCoordinatorGrpc: 50062,
      communicationCoordinatorRest: 8092,
      kafka: 9092,
      schemaRegistry: 8081,
      kafkaJmx: 9999,
      rabbitmq: 5672,
      rabbitmqManagement: 15672,
      postgres: 5432,
      mongo: 27017,
      neo4jBolt: 7687,
      neo4jHttp: 7474,
      neo4jHttps: 7473,
      redis: 6379,
    });
  });

  it.each([
    'postgres',
    'mongo',
    'redis',
    'kafka',
    'rabbitmq',
    'rabbitmqManagement',
    'neo4jBolt',
    'neo4jHttps',
  ] as const)('are TLS 1.3 and nothing below at %s', async (name) => {
    const ctx = await context();
    const { ca } = await ctx.certificate('admin', { uri: 'service/admin' });
    const shake = (options: ConnectionOptions): Promise<string> =>
      negotiated(ctx.port(name), name === 'postgres', { ca: readFileSync(ca), ...options });
    await expect(shake({})).resolves.toBe('TLSv1.3');
    await expect(shake({ maxVersion: 'TLSv1.2' })).rejects.toThrow();
  });

  it('are RabbitMQ’s queues and exchanges, vhost, and the memory that limits.ts gives it', async () => {
    const ctx = await context();
    const vhosts = (await manage(ctx, 'GET', '/vhosts')) as readonly { readonly name: string }[];
    const nodes = (await manage(ctx, 'GET', '/nodes')) as readonly { readonly mem_limit: number }[];
    expect(vhosts.map(({ name }) => name)).toEqual(['aats']);
    const names = async (kind: 'queues' | 'exchanges'): Promise<readonly string[]> =>
      ((await manage(ctx, 'GET', `/${kind}/aats`)) as readonly { readonly name: string }[]).map(({ name }) => name);
    expect(await names('queues')).toEqual(
      expect.arrayContaining(['agent.tasks', 'agent.responses', 'system.notifications']),
    );
    expect(await names('exchanges')).toEqual(expect.arrayContaining(['agent.direct', 'agent.topic', 'agent.fanout']));
    expect(nodes.map(({ mem_limit: bytes }) => `${bytes / 1_000_000}MB`)).toEqual([
      here('rabbitmq', 'vm_memory_high_watermark'),
    ]);
  });

  it('that are scaled down each have a reason', () => {
    for (const { reason, specification, here: value } of scaledDown)
      expect([reason.length > 10, specification !== value]).toEqual([true, true]);
  });
});
