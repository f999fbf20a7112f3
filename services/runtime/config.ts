import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { readableFile } from '../../activities/readable-file';
import { stalledAfterMs } from './slow-reader';

/** Reads the environment once, at start; names every bad variable, shows no value. */
export function loadConfig<S extends z.ZodType>(schema: S, env: NodeJS.ProcessEnv): z.output<S> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
  throw new Error(`Invalid configuration\n${problems.join('\n')}`);
}

export const port = z.coerce.number().int().min(1).max(65535);
export const address = z.string().regex(/^[^:\s]+:\d+$/, 'must be host:port');
export const filePath = z.string().min(1);

export const temporalConfig = z.object({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: z.string().min(1) });
export const tlsConfig = z.object({
  AATS_CA_FILE: readableFile,
  AATS_CERT_FILE: readableFile,
  AATS_KEY_FILE: readableFile,
});
/** How long a reader of a stream may take nothing before it is cut off. */
export const streamConfig = z.object({
  AATS_STALLED_READER_MS: z.coerce.number().int().min(100).max(600_000).default(stalledAfterMs),
});
export const tokenConfig = z.object({ AATS_JWKS_URL: z.url({ protocol: /^https$/ }) });

/** The content of a secret's file, without the line end that editors add. */
export const readSecretFile = (path: string): string => readFileSync(path, 'utf8').replace(/\r?\n$/, '');
