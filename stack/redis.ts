import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { readFileSync } from 'node:fs';
import { within } from '../activities/within';
import { here } from './limits';
import type { Server, StackContext } from './server';

const nodes = [0, 1, 2, 3, 4, 5] as const;
const name = (index: number): string => `redis-${index + 1}`;
const port = (ctx: StackContext, index: number): number => ctx.port('redis') + index;

/** What each identity may touch: key patterns and commands (Redis ACL). */
const whatClientsAsk = '+@connection +info +ping +cluster|slots +cluster|shards +cluster|nodes +cluster|info';
const data = '+@read +@write +@transaction +@scripting -@dangerous';
const users: Readonly<Record<string, string>> = {
  admin: '~* &* +@all',
  'communication-coordinator': `~presence:* ~leases:* ~capability:* ~cancel:* ${data} ${whatClientsAsk}`,
  hitl: `~signin:* ~session:* ~refresh:* ~limit:* ${data} ${whatClientsAsk}`,
  'database-controller': `resetkeys ${whatClientsAsk}`,
};

/**
 * The ACL file. Nobody can sign in as `default`, which is off and for which no password is right; but Redis loads its append-only file in
 * that name, and leaves out every transaction whose commands it may not run (redis/redis#14541): what a script writes in
 * more than one command would be gone after a restart.
 */
export const aclFile = (passwordOf: (user: string) => string): string =>
  [
    'user default off resetpass ~* &* +@all',
    ...Object.entries(users).map(([user, rules]) => `user ${user} on >${passwordOf(user)} ${rules}`),
    '',
  ].join('\n');

/** A client of the whole cluster for provisioning and readiness; closed by the caller. */
export async function connectRedis(ctx: StackContext): Promise<Cluster> {
  const { value: password } = await ctx.secret('redis-admin');
  const { ca } = await ctx.certificate('redis', { uri: 'service/redis', forServer: true });
  return new Cluster(
    nodes.map((index) => ({ host: '127.0.0.1', port: port(ctx, index) })),
    {
      lazyConnect: true,
      clusterRetryStrategy: () => null,
      redisOptions: {
        username: 'admin',
        password,
        tls: { ca: readFileSync(ca), minVersion: 'TLSv1.3' },
        connectTimeout: 2000,
        maxRetriesPerRequest: 1,
      },
    },
  );
}

const cli = async (ctx: StackContext, args: readonly string[]): Promise<string> => {
  const { ca } = await ctx.certificate('redis', { uri: 'service/redis', forServer: true });
  return ctx.run('redis-cli', ['--tls', '--cacert', ca, '--user', 'admin', '--no-auth-warning', ...args], {
    env: { REDISCLI_AUTH: (await ctx.secret('redis-admin')).value },
    timeoutSeconds: 60,
  });
};

/** Six nodes, three of them replicas; TLS only, for clients, replication and the cluster bus. */
export const redis: Server = {
  name: 'redis',
  title: 'Redis Cluster 7.0, six nodes',
  needs: [],
  ports: (ctx) => nodes.flatMap((index) => [port(ctx, index), port(ctx, index) + 10000]),
  processes: () => nodes.map(name),
  replacedBy: 'AATS_REDIS_NODES',
  install: (ctx) => ctx.debian(['redis-server', 'redis-tools']),
  async configure(ctx) {
    const dir = await ctx.serverDir('redis');
    const tls = await ctx.certificate('redis', { uri: 'service/redis', forServer: true });
    const passwords = new Map(
      await Promise.all(
        Object.keys(users).map(async (user) => [user, (await ctx.secret(`redis-${user}`)).value] as const),
      ),
    );
    const acl = join(dir, 'users.acl');
    await writeFile(
      acl,
      aclFile((user) => passwords.get(user) ?? ''),
      { mode: 0o600 },
    );
    await chmod(acl, 0o600);
    const admin = await ctx.secret('redis-admin');
    for (const index of nodes) {
      const home = join(dir, String(index + 1));
      await mkdir(home, { recursive: true });
      await writeFile(
        join(home, 'redis.conf'),
        [
          'port 0',
          `tls-port ${port(ctx, index)}`,
          'bind 127.0.0.1',
          'protected-mode yes',
          `dir ${home}`,
          'cluster-enabled yes',
          'cluster-node-timeout 2000',
          'cluster-announce-ip 127.0.0.1',
          `tls-cert-file ${tls.cert}`,
          `tls-key-file ${tls.key}`,
          `tls-ca-cert-file ${tls.ca}`,
          'tls-auth-clients no',
          'tls-cluster yes',
          'tls-replication yes',
          'tls-protocols TLSv1.3',
          `aclfile ${acl}`,
          'masteruser admin',
          `masterauth ${admin.value}`,
          `maxmemory ${here('redis', 'maxmemory')}`,
          'maxmemory-policy volatile-lru',
          'appendonly yes',
          'appendfsync everysec',
          'save 900 1',
          'repl-diskless-sync-delay 0',
        ].join('\n'),
        { mode: 0o600 },
      );
    }
    if (ctx.serverUser) await ctx.run('chown', ['-R', `${ctx.serverUser.uid}:${ctx.serverUser.gid}`, dir]);
  },
  async start(ctx) {
    const dir = await ctx.serverDir('redis');
    for (const index of nodes)
      await ctx.spawn(name(index), '/usr/bin/redis-server', [join(dir, String(index + 1), 'redis.conf')], { cwd: dir });
  },
  // Every node must answer before the cluster is made of them; `provision` then proves a write.
  async ready(ctx) {
    for (const index of nodes) await cli(ctx, ['-h', '127.0.0.1', '-p', String(port(ctx, index)), 'ping']);
  },
  async provision(ctx) {
    const info = await cli(ctx, ['-h', '127.0.0.1', '-p', String(port(ctx, 0)), 'cluster', 'info']);
    if (!info.includes('cluster_slots_assigned:16384')) {
      // An interrupted creation leaves nodes that know each other, which the next one refuses; a node with keys in it
      // refuses to forget, so nothing is lost here.
      for (const index of nodes)
        await cli(ctx, ['-h', '127.0.0.1', '-p', String(port(ctx, index)), 'cluster', 'reset']);
      await cli(ctx, [
        '--cluster',
        'create',
        ...nodes.map((index) => `127.0.0.1:${port(ctx, index)}`),
        '--cluster-replicas',
        '1',
        '--cluster-yes',
      ]);
    }
    await ctx.until('redis cluster', 30, async () => {
      const cluster = await connectRedis(ctx);
      cluster.on('error', () => undefined);
      try {
        // While the nodes still find each other the client may neither connect nor fail.
        await within(3000, cluster.connect(), 'the cluster does not answer');
        await cluster.set('stack:ready', '1', 'EX', 60);
        if ((await cluster.get('stack:ready')) !== '1') throw new Error('a write cannot be read');
      } finally {
        cluster.disconnect();
      }
    });
  },
  async stop(ctx) {
    await Promise.all(nodes.map((index) => ctx.stopProcess(name(index))));
  },
};
