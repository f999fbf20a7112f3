import { existsSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import neo4jDriver, { type Driver } from 'neo4j-driver';
import { classPath } from './jars';
import { here } from './limits';
import type { Server, StackContext } from './server';

const opens = [
  'java.base/java.nio',
  'java.base/java.io',
  'java.base/sun.nio.ch',
  'java.base/java.util.concurrent',
  'java.base/java.lang',
].map((one) => `--add-opens=${one}=ALL-UNNAMED`);

/** A client as the administrator, for provisioning and tests; closed by the caller. */
export async function connectNeo4j(ctx: StackContext): Promise<Driver> {
  const { ca } = await ctx.certificate('neo4j', { uri: 'service/neo4j', forServer: true });
  return neo4jDriver.driver(
    `bolt://localhost:${ctx.port('neo4jBolt')}`,
    neo4jDriver.auth.basic('neo4j', (await ctx.secret('neo4j-admin')).value),
    {
      encrypted: 'ENCRYPTION_ON',
      trust: 'TRUST_CUSTOM_CA_SIGNED_CERTIFICATES',
      trustedCertificates: [ca],
      connectionTimeout: 3000,
      maxTransactionRetryTime: 0,
    },
  );
}

/** Neo4j Community: one node; clustering is Enterprise's, and lineage can be rebuilt from the topic of changes. */
export const neo4j: Server = {
  name: 'neo4j',
  title: 'Neo4j 2026.08.1 Community',
  needs: [],
  ports: (ctx) => [ctx.port('neo4jBolt'), ctx.port('neo4jHttp'), ctx.port('neo4jHttps')],
  processes: () => ['neo4j'],
  replacedBy: 'AATS_NEO4J_URL',
  install: async (ctx) => void (await classPath(ctx, 'neo4j')),
  async configure(ctx) {
    const dir = await ctx.serverDir('neo4j');
    const tls = await ctx.certificate('neo4j', { uri: 'service/neo4j', forServer: true });
    for (const policy of ['bolt', 'https']) {
      const target = join(dir, 'certificates', policy);
      await mkdir(target, { recursive: true });
      await cp(tls.key, join(target, 'private.key'));
      await cp(tls.cert, join(target, 'public.crt'));
    }
    await mkdir(join(dir, 'conf'), { recursive: true });
    const policy = (name: string): string[] => [
      `dbms.ssl.policy.${name}.enabled=true`,
      `dbms.ssl.policy.${name}.base_directory=${join(dir, 'certificates', name)}`,
      `dbms.ssl.policy.${name}.private_key=private.key`,
      `dbms.ssl.policy.${name}.public_certificate=public.crt`,
      `dbms.ssl.policy.${name}.client_auth=NONE`,
      `dbms.ssl.policy.${name}.tls_versions=TLSv1.3`,
    ];
    await writeFile(
      join(dir, 'conf', 'neo4j.conf'),
      [
        'server.default_listen_address=127.0.0.1',
        ...['data', 'logs', 'import', 'plugins', 'run'].map((name) => `server.directories.${name}=${join(dir, name)}`),
        `server.bolt.listen_address=127.0.0.1:${ctx.port('neo4jBolt')}`,
        `server.bolt.advertised_address=localhost:${ctx.port('neo4jBolt')}`,
        'server.bolt.tls_level=REQUIRED',
        `server.http.listen_address=127.0.0.1:${ctx.port('neo4jHttp')}`,
        'server.https.enabled=true',
        `server.https.listen_address=127.0.0.1:${ctx.port('neo4jHttps')}`,
        ...policy('bolt'),
        ...policy('https'),
        'dbms.security.auth_enabled=true',
        'dbms.usage_report.enabled=false',
        `server.memory.pagecache.size=${here('neo4j', 'server.memory.pagecache.size')}`,
        'db.tx_log.rotation.size=16m',
        'db.tx_log.rotation.retention_policy=1 days 100M',
      ].join('\n'),
    );
    if (ctx.serverUser) await ctx.run('chown', ['-R', `${ctx.serverUser.uid}:${ctx.serverUser.gid}`, dir]);
    if (existsSync(join(dir, 'data', 'dbms', 'auth.ini')) || existsSync(join(dir, 'data', 'databases'))) return;
    const { java } = await ctx.python();
    // The tool takes the password as an argument only: a file of arguments keeps it out of the list of processes.
    const file = join(dir, 'password.args');
    await writeFile(
      file,
      [
        '-Xmx128m',
        '-cp',
        await classPath(ctx, 'neo4j'),
        'org.neo4j.cli.AdminTool',
        'dbms',
        'set-initial-password',
        (await ctx.secret('neo4j-admin')).value,
      ]
        .map((one) => `"${one}"`)
        .join('\n'),
      { mode: 0o600 },
    );
    if (ctx.serverUser) await ctx.run('chown', [`${ctx.serverUser.uid}:${ctx.serverUser.gid}`, file]);
    try {
      await ctx.run(java, [`@${file}`], {
        asServer: true,
        cwd: dir,
        env: { NEO4J_HOME: dir, NEO4J_CONF: join(dir, 'conf') },
        timeoutSeconds: 90,
      });
    } finally {
      await ctx.run('rm', ['-f', file]);
    }
  },
  async start(ctx) {
    const dir = await ctx.serverDir('neo4j');
    const { java } = await ctx.python();
    const heap = here('neo4j', 'server.memory.heap.max_size');
    await ctx.spawn(
      'neo4j',
      java,
      [
        '-Xms128m',
        `-Xmx${heap}`,
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-XX:MaxDirectMemorySize=128m',
        '-Dlog4j2.disable.jmx=true',
        ...opens,
        '-cp',
        await classPath(ctx, 'neo4j'),
        'org.neo4j.server.Neo4jCommunity',
        `--home-dir=${dir}`,
        `--config-dir=${join(dir, 'conf')}`,
        '--console-mode',
      ],
      { cwd: dir, env: { NEO4J_HOME: dir } },
    );
  },
  async ready(ctx) {
    const driver = await connectNeo4j(ctx);
    try {
      await driver.executeQuery('RETURN 1');
    } finally {
      await driver.close();
    }
  },
  async provision(ctx) {
    const driver = await connectNeo4j(ctx);
    try {
      // Community has users but no roles: the identity is separate so that it can be rotated and seen.
      await driver.executeQuery(
        'CREATE USER `database-controller` IF NOT EXISTS SET PASSWORD $password CHANGE NOT REQUIRED',
        { password: (await ctx.secret('neo4j-database-controller')).value },
        { database: 'system' },
      );
    } finally {
      await driver.close();
    }
  },
  stop: (ctx) => ctx.stopProcess('neo4j', { graceSeconds: 20 }),
};
