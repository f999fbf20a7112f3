import { mkdir, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { buildGoProgram } from './go-build';
import type { Server, StackContext } from './server';

const install = (ctx: StackContext): Promise<string> =>
  buildGoProgram(ctx, {
    name: 'temporal-ui',
    module: 'github.com/temporalio/ui-server/v2',
    version: 'v2.54.1',
    main: './cmd/server',
  });

/** Temporal's own page, beside the dev server because that one's built-in page cannot be made read-only. */
export const temporalUi: Server = {
  name: 'temporal-ui',
  title: 'Temporal UI 2.54.1, write actions disabled',
  needs: ['temporal'],
  isForPeople: true,
  ports: (ctx) => [ctx.port('temporalUi')],
  processes: () => ['temporal-ui'],
  install: async (ctx) => void (await install(ctx)),
  async configure(ctx) {
    const dir = join(await ctx.serverDir('temporal-ui'), 'config');
    await mkdir(dir, { recursive: true });
    await writeFile(
      join(dir, 'local.yaml'),
      [
        `temporalGrpcAddress: ${process.env['TEMPORAL_ADDRESS'] ?? `127.0.0.1:${ctx.port('temporal')}`}`,
        'host: 127.0.0.1',
        `port: ${ctx.port('temporalUi')}`,
        'enableUi: true',
        'defaultNamespace: aats',
        'disableWriteActions: true',
        'refreshInterval: 0s',
        'cors: { allowOrigins: [] }',
      ].join('\n'),
    );
    if (ctx.serverUser)
      await ctx.run('chown', ['-R', `${ctx.serverUser.uid}:${ctx.serverUser.gid}`, await ctx.serverDir('temporal-ui')]);
  },
  async start(ctx) {
    const dir = await ctx.serverDir('temporal-ui');
    await ctx.spawn(
      'temporal-ui',
      await install(ctx),
      ['--root', dir, '--config', 'config', '--env', 'local', 'start'],
      { cwd: dir },
    );
  },
  ready: (ctx) =>
    new Promise((resolve, reject) => {
      get(`http://127.0.0.1:${ctx.port('temporalUi')}/api/v1/settings`, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        response.on('end', () => {
          if (/"DisableWriteActions":\s*true/i.test(text)) resolve();
          else reject(new Error(`the settings do not say that write actions are disabled: ${text.slice(0, 200)}`));
        });
      }).once('error', reject);
    }),
  provision: async () => Promise.resolve(),
  stop: (ctx) => ctx.stopProcess('temporal-ui'),
};
