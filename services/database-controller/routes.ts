import type Router from '@koa/router';
import type { Context, Next } from 'koa';
import { z } from 'zod';
import type { ArtifactStore } from '../../activities/stores/artifact-store';
import type { Lineage } from '../../activities/stores/lineage';
import type { Health } from '../runtime/health';
import { callerOf, checked } from '../runtime/http';
import type { Identities } from '../runtime/identity';
import type { Logger } from '../runtime/logger';
import { authorize } from '../runtime/roles';
import { sendBytes } from '../runtime/send-bytes';
import { asStoreFailure, fromStore, partsFromStore } from './store-failures';

export interface RouteDeps {
  readonly identities: Identities;
  readonly health: Health;
  readonly artifacts: ArtifactStore;
  readonly lineage: Lineage;
  /** A reader of a document that takes nothing for so long is cut off. */
  readonly patienceMs: number;
  readonly logger: Logger;
}

const depth = z.coerce.number().int().min(1).max(20).default(5);
const text = z.string();
const nothing = z.strictObject({});

/** REST for the same questions as gRPC, under the same permissions. */
export function addRoutes(
  router: Router,
  { identities, health, artifacts, lineage, patienceMs, logger }: RouteDeps,
): void {
  const may =
    (method: string) =>
    async (ctx: Context, next: Next): Promise<void> => {
      authorize(await callerOf(ctx, identities), `aats.data.v1.${method}`);
      await next();
    };

  router.get('/v1/stores', may('DatabaseController/GetStoreHealth'), async (ctx) => {
    checked(nothing, ctx.query);
    ctx.body = { stores: await health.check() };
  });

  router.get('/v1/artifacts/:artifact', may('Artifacts/GetArtifact'), async (ctx) => {
    checked(nothing, ctx.query);
    const { artifact, name, mediaType, size } = await fromStore(() =>
      artifacts.stat(checked(text, ctx.params['artifact'])),
    );
    ctx.etag = artifact;
    ctx.status = 200;
    if (ctx.fresh) {
      ctx.status = 304;
      return;
    }
    const describe = (): void => {
      ctx.set({
        // What agents made is never shown as a page of ours: saved, not sniffed, and without rights if opened anyway.
        'content-disposition': `attachment; filename="${fallbackName(name)}"; filename*=UTF-8''${extendedName(name)}`,
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
        'cache-control': 'private, max-age=31536000, immutable',
      });
      ctx.type = mediaType;
      ctx.length = size;
    };
    if (ctx.method === 'HEAD') describe();
    else await sendBytes(ctx, partsFromStore(artifacts.get(artifact)), describe, { patienceMs, logger });
  });

  router.get('/v1/lineage/artifacts/:artifact', may('Lineage/GetArtifactLineage'), async (ctx) => {
    const steps = checked(z.strictObject({ depth }), ctx.query).depth;
    ctx.body = await lineage.ofArtifact(checked(text, ctx.params['artifact']), steps).catch(rethrown);
  });
  router.get('/v1/lineage/plans/:planId', may('Lineage/GetPlanLineage'), async (ctx) => {
    checked(nothing, ctx.query);
    ctx.body = await lineage.ofPlan(checked(text, ctx.params['planId'])).catch(rethrown);
  });
}

const rethrown = (error: unknown): never => {
  throw asStoreFailure(error);
};

/** RFC 6266: an old client's name, of harmless letters only. */
const fallbackName = (name: string): string => name.replace(/[^\w.-]/g, '_');
/** RFC 8187: what encodeURIComponent leaves and the grammar does not allow. */
const extendedName = (name: string): string =>
  encodeURIComponent(name).replace(/['()*!]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
