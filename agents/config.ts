import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { filePath } from '../services/runtime/config';
import { allowedPrograms } from './command/capability';
import { allowedHosts } from './http/capability';

const jsonFile = <S extends z.ZodType>(schema: S): z.ZodType<z.output<S>, string> =>
  filePath.transform((path, ctx): z.output<S> => {
    try {
      return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
    } catch (error) {
      ctx.addIssue(error instanceof z.ZodError ? z.prettifyError(error) : 'cannot be read as JSON');
      return z.NEVER;
    }
  });

/** What the work of the shipped agents needs beside the buses: a folder, and lists of what may be run and asked. */
export const workConfig = z.object({
  AATS_AGENT_DATA_DIR: filePath,
  /** Programs of the capability `command`; without the file there are none. */
  AATS_COMMANDS_FILE: jsonFile(allowedPrograms).optional(),
  /** Hosts of the capability `http`; without the file there are none. */
  AATS_HTTP_HOSTS_FILE: jsonFile(allowedHosts).optional(),
  /** Whom programs of tasks run as instead of the agent's own user; an agent that runs as root should name one. */
  AATS_PROGRAM_USER: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be the name of a user')
    .refine(() => process.getuid?.() === 0, 'needs an agent that runs as root')
    .optional(),
  PATH: z.string().default('/usr/bin:/bin'),
  HOME: z.string().default('/'),
});
export type WorkConfig = z.output<typeof workConfig>;

/** The user's settings of npm, so that packages come from the registry that the user chose. */
export function npmEnvironment(
  env: NodeJS.ProcessEnv,
  { PATH, HOME, AATS_AGENT_DATA_DIR }: WorkConfig,
): Record<string, string> {
  const settings = Object.entries(env).filter(
    (entry): entry is [string, string] => /^npm_config_/i.test(entry[0]) && entry[1] !== undefined,
  );
  return { ...Object.fromEntries(settings), PATH, HOME, npm_config_cache: join(AATS_AGENT_DATA_DIR, 'npm-cache') };
}
