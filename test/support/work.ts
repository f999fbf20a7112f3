import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Work } from '../../agents/work';
import type { ArtifactReference } from '../../workflows/contracts/json';

/** Attempts of one plan with documents kept in memory: the port that agents work through. */
export async function createDesk(planId = 'p1') {
  const base = await mkdtemp(join(tmpdir(), 'aats-desk-'));
  const kept = new Map<string, Buffer>();
  const keep: Work['keep'] = ({ name, mediaType, bytes }) => {
    const artifact = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    kept.set(artifact, bytes);
    return Promise.resolve({ artifact, name, mediaType, size: bytes.length });
  };
  const contentOf = ({ artifact }: ArtifactReference): Buffer => {
    const bytes = kept.get(artifact);
    if (!bytes) throw new Error(`${artifact} is not kept`);
    return bytes;
  };
  return {
    base,
    keep,
    contentOf,
    /** The next attempt. */
    work: async (signal: AbortSignal = new AbortController().signal): Promise<Work> => ({
      planId,
      idempotencyKey: `${planId}/task`,
      folder: await mkdtemp(join(base, 'attempt-')),
      signal,
      secrets: {},
      progress: () => undefined,
      log: pino({ level: 'silent' }),
      keep,
      fetch: (reference, file) => writeFile(file, contentOf(reference)),
    }),
    remove: () => rm(base, { recursive: true, force: true }),
  };
}
export type Desk = Awaited<ReturnType<typeof createDesk>>;
