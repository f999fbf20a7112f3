import { readFileSync } from 'node:fs';
import { MongoClient } from 'mongodb';
import { buildGoProgram } from './go-build';
import type { Server, StackContext } from './server';
import type { Identity } from './stack-file';

const version = 'v1.24.2';
const install = (ctx: StackContext): Promise<string> =>
  // The published module lacks the file that its build embeds.
  buildGoProgram(ctx, {
    name: 'ferretdb',
    module: 'github.com/FerretDB/FerretDB',
    version,
    main: './cmd/ferretdb',
    tags: ['ferretdb_no_sqlite'], // its other back end, a quarter of the build
    files: { 'build/version/version.txt': `${version}\n` },
    // It has no setting for the lowest TLS version, and Go's is 1.2.
    edits: {
      'internal/util/tlsutil/tlsutil.go': [
        'config := &tls.Config{',
        'config := &tls.Config{MinVersion: tls.VersionTLS13,',
      ],
    },
  });

const users: readonly Identity[] = ['database-controller', 'worker-data'];
export const mongoDatabase = 'aats';
/** Sign-in is against the admin database; FerretDB speaks SCRAM-SHA-256. */
export const mongoOptions = 'authSource=admin&authMechanism=SCRAM-SHA-256&directConnection=true';

export async function connectMongo(ctx: StackContext): Promise<MongoClient> {
  const { ca } = await ctx.certificate('mongo', { uri: 'service/mongo', forServer: true });
  const { value: password } = await ctx.secret('mongo-admin');
  const client = new MongoClient(`mongodb://localhost:${ctx.port('mongo')}/?tls=true&${mongoOptions}`, {
    auth: { username: 'admin', password },
    tlsCAFile: ca,
    serverSelectionTimeoutMS: 3000,
  });
  return client.connect();
}

/** Where FerretDB keeps its data: the stack's PostgreSQL, or that of `AATS_POSTGRES_URL`, in schemas of its own. */
async function postgresUrl(ctx: StackContext, ca: string): Promise<string> {
  const { AATS_POSTGRES_URL: given, AATS_POSTGRES_PASSWORD_FILE: passwordFile, AATS_SERVERS_CA_FILE } = process.env;
  const url = new URL(given ?? `postgres://ferretdb@localhost:${ctx.port('postgres')}/ferretdb`);
  url.password = encodeURIComponent(
    given === undefined
      ? (await ctx.secret('postgres-ferretdb')).value
      : readFileSync(passwordFile ?? '', 'utf8').trimEnd(),
  );
  url.search = `sslmode=verify-full&sslrootcert=${given === undefined ? ca : (AATS_SERVERS_CA_FILE ?? ca)}`;
  return url.href;
}

/** FerretDB: the MongoDB protocol on PostgreSQL. Not MongoDB; the artifact store relies on nothing that it lacks. */
export const ferretdb: Server = {
  name: 'mongo',
  title: `FerretDB ${version.slice(1)} (MongoDB protocol)`,
  needs: ['postgres'],
  ports: (ctx) => [ctx.port('mongo'), ctx.port('mongoDebug')],
  processes: () => ['mongo'],
  replacedBy: 'AATS_MONGO_URL',
  install: async (ctx) => void (await install(ctx)),
  configure: async (ctx) => void (await ctx.certificate('mongo', { uri: 'service/mongo', forServer: true })),
  async start(ctx) {
    const dir = await ctx.serverDir('mongo');
    const tls = await ctx.certificate('mongo', { uri: 'service/mongo', forServer: true });
    // Its passwords go by environment, never by arguments, which every user of the machine can list.
    await ctx.spawn(
      'mongo',
      await install(ctx),
      [
        '--telemetry=disable',
        '--handler=postgresql',
        '--log-level=warn',
        '--listen-addr=',
        `--listen-tls=127.0.0.1:${ctx.port('mongo')}`,
        `--listen-tls-cert-file=${tls.cert}`,
        `--listen-tls-key-file=${tls.key}`,
        '--listen-tls-ca-file=',
        `--debug-addr=127.0.0.1:${ctx.port('mongoDebug')}`,
        `--state-dir=${dir}`,
        '--repl-set-name=rs0',
        '--test-enable-new-auth',
        '--setup-database=admin',
        '--setup-username=admin',
      ],
      {
        cwd: dir,
        env: {
          FERRETDB_POSTGRESQL_URL: await postgresUrl(ctx, tls.ca),
          FERRETDB_SETUP_PASSWORD: (await ctx.secret('mongo-admin')).value,
        },
      },
    );
  },
  async ready(ctx) {
    const client = await connectMongo(ctx);
    try {
      const probe = client.db(mongoDatabase).collection<{ _id: string }>('stack_ready');
      await probe.deleteOne({ _id: 'probe' });
      await probe.insertOne({ _id: 'probe' });
      if ((await probe.findOne({ _id: 'probe' })) === null) throw new Error('a document cannot be read back');
    } finally {
      await client.close();
    }
  },
  async provision(ctx) {
    const client = await connectMongo(ctx);
    try {
      const admin = client.db('admin');
      for (const user of users) {
        const { value: pwd } = await ctx.secret(`mongo-${user}`);
        // FerretDB knows users, but no roles.
        await admin.command({ createUser: user, pwd, roles: [] }).catch(async (error: unknown) => {
          if (!String(error).includes('already exists')) throw error;
          await admin.command({ updateUser: user, pwd });
        });
      }
    } finally {
      await client.close();
    }
  },
  stop: (ctx) => ctx.stopProcess('mongo'),
};
