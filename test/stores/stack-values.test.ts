import { ConfigResourceTypes } from 'kafkajs';
import { createStackContext } from '../../stack/context';
import { kafkaAsAdmin } from '../../stack/kafka';
import { here, scaledDown } from '../../stack/limits';
import { connectAsSuperuser } from '../../stack/postgres';
import { connectRedis } from '../../stack/redis';
import { topics } from '../../workflows/contracts/messages';
import { stackFile } from '../support/stack';

const context = () => {
  const { dataDir, portOffset } = stackFile();
  return createStackContext({ dataDir, portOffset });
};

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

  it('are Kafka’s retention of 7 days', async () => {
    const admin = (await kafkaAsAdmin(await context())).admin();
    try {
      await admin.connect();
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topics.plans, configNames: ['retention.ms'] }],
      });
      expect(resources[0]?.configEntries[0]?.configValue).toBe(String(7 * 24 * 3600 * 1000));
    } finally {
      await admin.disconnect();
    }
  });

  it('are RabbitMQ’s vhost and the memory that limits.ts gives it', async () => {
    const ctx = await context();
    const { value: password } = await ctx.secret('rabbitmq-admin');
    const ask = async <T>(path: string): Promise<T> => {
      const answer = await fetch(`http://127.0.0.1:${ctx.port('rabbitmqManagement')}/api${path}`, {
        headers: { authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}` },
      });
      return (await answer.json()) as T;
    };
    const vhosts = await ask<readonly { readonly name: string }[]>('/vhosts');
    const nodes = await ask<readonly { readonly mem_limit: number }[]>('/nodes');
    expect(vhosts.map(({ name }) => name)).toEqual(['aats']);
    expect(nodes.map(({ mem_limit: bytes }) => `${bytes / 1_000_000}MB`)).toEqual([
      here('rabbitmq', 'vm_memory_high_watermark'),
    ]);
  });

  it('that are scaled down each have a reason', () => {
    for (const { reason, specification, here: value } of scaledDown)
      expect([reason.length > 10, specification !== value]).toEqual([true, true]);
  });
});
