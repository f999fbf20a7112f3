import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { here } from './limits';
import type { Server, StackContext } from './server';

const bin = '/usr/lib/postgresql/15/bin';
export const superuser = 'admin';
/** Roles of the identities: what each may do is granted by the migrations. */
export const roles = ['aats_plans', 'aats_signin', 'aats_health', 'ferretdb'] as const;
export type PostgresRole = (typeof roles)[number];
const databases: readonly { readonly name: string; readonly owner: string }[] = [
  { name: 'aats', owner: superuser },
  { name: 'ferretdb', owner: 'ferretdb' },
];

// Specification, Database Configuration, PostgreSQL; the scaled-down sizes and their reasons stand in limits.ts.
const settings = (ctx: StackContext): Readonly<Record<string, string>> => ({
  listen_addresses: "'127.0.0.1'",
  port: String(ctx.port('postgres')),
  ssl: 'on',
  ssl_min_protocol_version: "'TLSv1.3'",
  password_encryption: 'scram-sha-256',
  max_connections: '1000',
  shared_buffers: here('postgres', 'shared_buffers'),
  effective_cache_size: here('postgres', 'effective_cache_size'),
  maintenance_work_mem: here('postgres', 'maintenance_work_mem'),
  work_mem: '32MB',
  wal_level: 'logical',
  archive_mode: 'on',
  archive_timeout: '300',
  max_wal_senders: '10',
  max_replication_slots: '10',
  log_connections: 'off',
  logging_collector: 'off',
  timezone: "'UTC'",
});

export async function connectAsSuperuser(ctx: StackContext, database: string): Promise<Client> {
  const { value: password } = await ctx.secret('postgres-admin');
  const { ca } = await ctx.certificate('postgres', { uri: 'service/postgres', forServer: true });
  const client = new Client({
    host: 'localhost',
    port: ctx.port('postgres'),
    user: superuser,
    password,
    database,
    connectionTimeoutMillis: 3000,
    ssl: { ca: await readFile(ca, 'utf8'), minVersion: 'TLSv1.3' },
  });
  client.on('error', () => undefined); // a query then rejects
  await client.connect();
  return client;
}

export const postgres: Server = {
  name: 'postgres',
  title: 'PostgreSQL 15',
  needs: [],
  ports: (ctx) => [ctx.port('postgres')],
  processes: () => ['postgres'],
  replacedBy: 'AATS_POSTGRES_URL',
  install: (ctx) => ctx.debian(['postgresql-15', 'postgresql-client-15']),
  async configure(ctx) {
    const dir = await ctx.serverDir('postgres');
    const data = join(dir, 'data');
    const archive = join(dir, 'archive');
    const tls = await ctx.certificate('postgres', { uri: 'service/postgres', forServer: true });
    if (!existsSync(join(data, '.initialised'))) {
      // What an interrupted initdb left is unusable and empty.
      await rm(data, { recursive: true, force: true });
      const passwordFile = join(dir, 'password');
      await writeFile(passwordFile, (await ctx.secret('postgres-admin')).value, { mode: 0o600 });
      if (ctx.serverUser) await ctx.run('chown', [`${ctx.serverUser.uid}:${ctx.serverUser.gid}`, passwordFile]);
      try {
        await ctx.run(
          `${bin}/initdb`,
          [
            '-D',
            data,
            '-U',
            superuser,
            '-A',
            'scram-sha-256',
            `--pwfile=${passwordFile}`,
            '--data-checksums',
            '-E',
            'UTF8',
            '--locale=C',
          ],
          { asServer: true, cwd: dir },
        );
      } finally {
        await rm(passwordFile, { force: true });
      }
      await writeFile(join(data, '.initialised'), '');
    }
    await mkdir(archive, { recursive: true });
    if (ctx.serverUser) await ctx.run('chown', [`${ctx.serverUser.uid}:${ctx.serverUser.gid}`, archive]);
    // TLS for everybody: no `host` line, so a connection without it is refused.
    await writeFile(
      join(data, 'pg_hba.conf'),
      'hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl replication all 127.0.0.1/32 scram-sha-256\n',
    );
    const values = {
      ...settings(ctx),
      ssl_ca_file: `'${tls.ca}'`,
      ssl_cert_file: `'${tls.cert}'`,
      ssl_key_file: `'${tls.key}'`,
      unix_socket_directories: "''",
      archive_command: `'test ! -f ${archive}/%f && cp %p ${archive}/%f'`,
    };
    await writeFile(
      join(data, 'aats.conf'),
      Object.entries(values)
        .map(([key, value]) => `${key} = ${value}`)
        .join('\n'),
    );
    const main = join(data, 'postgresql.conf');
    if (!(await readFile(main, 'utf8')).includes("include 'aats.conf'"))
      await appendFile(main, "\ninclude 'aats.conf'\n");
  },
  async start(ctx) {
    const data = join(await ctx.serverDir('postgres'), 'data');
    await ctx.spawn('postgres', `${bin}/postgres`, ['-D', data], { cwd: data });
  },
  async ready(ctx) {
    const client = await connectAsSuperuser(ctx, 'postgres');
    try {
      await client.query('select 1');
    } finally {
      await client.end();
    }
  },
  async provision(ctx) {
    const client = await connectAsSuperuser(ctx, 'postgres');
    try {
      for (const role of roles) {
        const { value: password } = await ctx.secret(`postgres-${role}`);
        const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
        // Role names are ours; the password is quoted by the driver.
        await client.query(
          `${rowCount === 0 ? 'create' : 'alter'} role ${role} login password ${client.escapeLiteral(password)}`,
        );
      }
      for (const { name, owner } of databases) {
        const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
        if (rowCount === 0)
          await client.query(`create database ${name} owner ${owner} encoding 'UTF8' template template0`);
        await client.query(`revoke all on database ${name} from public`);
      }
      await client.query('grant connect on database aats to aats_plans, aats_signin, aats_health');
    } finally {
      await client.end();
    }
  },
  // "fast": connections are ended, nothing is lost.
  stop: (ctx) => ctx.stopProcess('postgres', { signal: 'SIGINT', graceSeconds: 20 }),
};
