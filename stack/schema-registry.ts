import { join } from 'node:path';
import { archive } from './jars';
import type { Server, StackContext } from './server';

const install = (ctx: StackContext): Promise<string> =>
  archive(ctx, {
    group: 'io.apicurio',
    name: 'apicurio-registry-app',
    version: '3.3.3',
    classifier: 'all',
    packaging: 'tar.gz',
    sha256: '8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63',
  });

/** Base of the Confluent API, which clients speak. */
export const registryUrl = (ctx: StackContext): string =>
  `http://localhost:${ctx.port('schemaRegistry')}/apis/ccompat/v7`;

async function call(ctx: StackContext, method: 'GET' | 'PUT', path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${registryUrl(ctx)}${path}`, {
    method,
    signal: AbortSignal.timeout(5000),
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    }),
  });
  if (!response.ok) throw new Error(`the schema registry answered ${response.status} to ${method} ${path}`);
  return response.json();
}

/** Apicurio on an H2 file. It has no password: loopback only, and it holds schemas, which are no secret. */
export const schemaRegistry: Server = {
  name: 'schema-registry',
  title: 'Apicurio schema registry 3.3.3',
  needs: [],
  ports: (ctx) => [ctx.port('schemaRegistry'), ctx.port('schemaRegistryManagement')],
  processes: () => ['schema-registry'],
  replacedBy: 'AATS_SCHEMA_REGISTRY_URL',
  install: async (ctx) => void (await install(ctx)),
  configure: async (ctx) => void (await ctx.serverDir('schema-registry')),
  async start(ctx) {
    const home = await ctx.serverDir('schema-registry');
    const { java } = await ctx.python();
    await ctx.spawn(
      'schema-registry',
      java,
      [
        '-Xmx192m',
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${ctx.port('schemaRegistry')}`,
        '-Dquarkus.management.host=127.0.0.1',
        `-Dquarkus.management.port=${ctx.port('schemaRegistryManagement')}`,
        '-Dapicurio.storage.kind=sql',
        '-Dapicurio.storage.sql.kind=h2',
        `-Dapicurio.datasource.url=jdbc:h2:file:${join(home, 'registry')}`,
        '-jar',
        join(await install(ctx), 'quarkus-run.jar'),
      ],
      { cwd: home },
    );
  },
  ready: async (ctx) => void (await call(ctx, 'GET', '/subjects')),
  provision: async (ctx) => void (await call(ctx, 'PUT', '/config', { compatibility: 'BACKWARD' })),
  stop: (ctx) => ctx.stopProcess('schema-registry'),
};
