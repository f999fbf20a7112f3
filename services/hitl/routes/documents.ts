import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type Router from '@koa/router';
import type { GetArtifactResponse } from '../../../proto/aats/data/v1/data_pb';
import { sendBytes } from '../../runtime/send-bytes';
import { packageRoot } from '../package-files';
import { type PageDeps, secureHeaders, signedIn } from './page-context';

/** A document of an agent, as a file to keep: it is never shown as a page of ours, whatever it says it is. */
export function addDocuments(router: Router, deps: PageDeps): void {
  router.get(
    '/artifacts/:digest/:name',
    signedIn(deps, async (ctx, { token }) => {
      const { digest = '', name = '' } = ctx['params'] as Record<string, string | undefined>;
      const gone = new AbortController();
      ctx.res.once('close', () => {
        gone.abort();
      });
      const answers = deps.upstream.artifacts.getArtifact(
        { artifact: `sha256:${digest}` },
        { token, signal: gone.signal },
      );
      const describe = (): void => {
        ctx.attachment(name.replace(/[^\w.-]/g, '_').slice(0, 100) || 'document');
        ctx.type = 'application/octet-stream';
      };
      await sendBytes(ctx, chunksOf(answers), describe, deps);
    }),
  );
}

async function* chunksOf(answers: AsyncIterable<GetArtifactResponse>): AsyncGenerator<Uint8Array> {
  for await (const { chunk } of answers) yield chunk;
}

// The style sheet, the script and the sign are no sources of the compiler: they lie in the package, not beside its output.
const assetsFolder = join(packageRoot, 'services', 'hitl', 'page', 'assets');
const assets = { 'style.css': 'text/css', 'app.js': 'text/javascript', 'icon.svg': 'image/svg+xml' } as const;

/** Read once, at start; a changed file has another tag, so browsers ask and are mostly told to keep what they have. */
export function addAssets(router: Router): void {
  for (const [name, type] of Object.entries(assets)) {
    const content = readFileSync(join(assetsFolder, name));
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
    router.get(`/assets/${name}`, (ctx) => {
      secureHeaders(ctx);
      ctx.set({ 'cache-control': 'no-cache', etag });
      ctx.status = 200;
      ctx.type = type;
      if (ctx.fresh) ctx.status = 304;
      else ctx.body = content;
    });
  }
}
