import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { request } from 'node:https';
import { here } from './limits';
import type { Server, StackContext } from './server';
import { busUsers, provisionedExchanges, provisionedQueues } from './topics';

// Specification, RabbitMQ Configuration: vhost aats; the AMQP port is the TLS listener.
export const vhost = 'aats';
const debianVersion = '3.10.8';
const home = `/usr/lib/rabbitmq/lib/rabbitmq_server-${debianVersion}`;
const node = 'aats@localhost';

async function environment(ctx: StackContext): Promise<Record<string, string>> {
  const dir = await ctx.serverDir('rabbitmq');
  return {
    HOME: dir,
    RABBITMQ_NODENAME: node,
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: join(dir, 'rabbitmq-env.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: join(dir, 'node.pid'),
    RABBITMQ_DIST_PORT: String(ctx.port('rabbitmqDistribution')),
    ERL_EPMD_PORT: String(ctx.port('epmd')),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    // Loopback only, and no name server of its own: one that nobody knows of would hold its port for ever.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}',
    // The script then becomes the server instead of watching over it: what is stopped or killed is the server itself.
    RABBITMQ_ALLOW_INPUT: '1',
  };
}

/** One call of the management API as the administrator; rejects on any answer but 2xx. */
export async function manage(
  ctx: StackContext,
  method: 'GET' | 'PUT' | 'POST',
  path: string,
  body?: unknown,
): Promise<unknown> {
  const { value: password } = await ctx.secret('rabbitmq-admin');
  const { ca } = await ctx.certificate('rabbitmq', { uri: 'service/rabbitmq', forServer: true });
  const payload = body === undefined ? '' : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: 'localhost',
        port: ctx.port('rabbitmqManagement'),
        ca: readFileSync(ca),
        minVersion: 'TLSv1.3',
        path: `/api${path}`,
        method,
        auth: `admin:${password}`,
        timeout: 5000,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        response.on('end', () => {
          if ((response.statusCode ?? 500) < 300) resolve(text === '' ? undefined : JSON.parse(text));
          else
            reject(
              new Error(`RabbitMQ answered ${response.statusCode ?? 0} to ${method} ${path}: ${text.slice(0, 200)}`),
            );
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error('RabbitMQ does not answer')));
    call.on('error', reject);
    call.end(payload);
  });
}

const answers = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });

export const rabbitmq: Server = {
  name: 'rabbitmq',
  title: `RabbitMQ ${debianVersion}`,
  needs: [],
  ports: (ctx) => [
    ctx.port('rabbitmq'),
    ctx.port('rabbitmqManagement'),
    ctx.port('rabbitmqPrometheus'),
    ctx.port('rabbitmqDistribution'),
    ctx.port('epmd'),
  ],
  processes: () => ['epmd', 'rabbitmq'],
  replacedBy: 'AATS_RABBITMQ_URL',
  install: (ctx) => ctx.debian(['rabbitmq-server']),
  async configure(ctx) {
    const dir = await ctx.serverDir('rabbitmq');
    const tls = await ctx.certificate('rabbitmq', { uri: 'service/rabbitmq', forServer: true });
    const { value: password } = await ctx.secret('rabbitmq-admin');
    const values = [
      'listeners.tcp = none',
      `listeners.ssl.local = 127.0.0.1:${ctx.port('rabbitmq')}`,
      `ssl_options.cacertfile = ${tls.ca}`,
      `ssl_options.certfile = ${tls.cert}`,
      `ssl_options.keyfile = ${tls.key}`,
      'ssl_options.versions.1 = tlsv1.3',
      'ssl_options.ciphers.1 = TLS_AES_256_GCM_SHA384',
      'ssl_options.ciphers.2 = TLS_CHACHA20_POLY1305_SHA256',
      // The specification asks for user name and password over TLS: an agent needs no certificate for the bus.
      'ssl_options.verify = verify_none',
      'ssl_options.fail_if_no_peer_cert = false',
      // Its clients send a password too.
      'management.ssl.ip = 127.0.0.1',
      `management.ssl.port = ${ctx.port('rabbitmqManagement')}`,
      `management.ssl.cacertfile = ${tls.ca}`,
      `management.ssl.certfile = ${tls.cert}`,
      `management.ssl.keyfile = ${tls.key}`,
      'management.ssl.versions.1 = tlsv1.3',
      'prometheus.tcp.ip = 127.0.0.1',
      `prometheus.tcp.port = ${ctx.port('rabbitmqPrometheus')}`,
      `default_vhost = ${vhost}`,
      'default_user = admin',
      `default_pass = ${password}`,
      'default_user_tags.administrator = true',
      'default_permissions.configure = .*',
      'default_permissions.read = .*',
      'default_permissions.write = .*',
      `vm_memory_high_watermark.absolute = ${here('rabbitmq', 'vm_memory_high_watermark')}`,
      'disk_free_limit.absolute = 200MB',
      'log.console = true',
      'log.console.level = warning',
      'log.file = false',
    ];
    await writeFile(join(dir, 'rabbitmq.conf'), `${values.join('\n')}\n`, { mode: 0o600 });
    await writeFile(join(dir, 'rabbitmq-env.conf'), '');
    await writeFile(join(dir, 'enabled_plugins'), '[rabbitmq_management,rabbitmq_prometheus].\n');
    // The cookie lets nodes and tools talk to each other: a secret of this stack, not one that Erlang makes up.
    const cookie = createHash('sha256')
      .update((await ctx.secret('rabbitmq-cookie')).value)
      .digest('hex');
    const file = join(dir, '.erlang.cookie');
    await ctx.run('rm', ['-f', file]);
    await writeFile(file, cookie, { mode: 0o400 });
    if (ctx.serverUser) await ctx.run('chown', ['-R', `${ctx.serverUser.uid}:${ctx.serverUser.gid}`, dir]);
  },
  async start(ctx) {
    const env = await environment(ctx);
    const cwd = await ctx.serverDir('rabbitmq');
    await ctx.spawn('epmd', 'epmd', ['-address', '127.0.0.1', '-port', String(ctx.port('epmd'))], { cwd, env });
    await ctx.until('epmd', 10, () => answers(ctx.port('epmd')));
    await ctx.spawn('rabbitmq', `${home}/sbin/rabbitmq-server`, [], { cwd, env });
  },
  ready: async (ctx) => void (await manage(ctx, 'GET', `/aliveness-test/${vhost}`)),
  async provision(ctx) {
    for (const { identity, configure, write, read } of busUsers) {
      const { value: password } = await ctx.secret(`rabbitmq-${identity}`);
      await manage(ctx, 'PUT', `/users/${identity}`, { password, tags: '' });
      await manage(ctx, 'PUT', `/permissions/${vhost}/${identity}`, { configure, write, read });
    }
    for (const { name, type, arguments: args } of provisionedExchanges) {
      await manage(ctx, 'PUT', `/exchanges/${vhost}/${name}`, {
        type,
        durable: true,
        auto_delete: false,
        arguments: args,
      });
    }
    for (const { name, arguments: args, bindings } of provisionedQueues) {
      await manage(ctx, 'PUT', `/queues/${vhost}/${name}`, { durable: true, auto_delete: false, arguments: args });
      for (const { exchange, key } of bindings)
        await manage(ctx, 'POST', `/bindings/${vhost}/e/${exchange}/q/${name}`, { routing_key: key });
    }
  },
  async stop(ctx) {
    await ctx.stopProcess('rabbitmq', { graceSeconds: 25 });
    await ctx.stopProcess('epmd');
  },
};
