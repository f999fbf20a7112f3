import { readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { CommandFailed, exitCodes } from './exit-codes';

/** Where the services are and which certificate authority vouches for them. */
export interface Settings {
  readonly projectManager: string;
  readonly databaseController: string;
  /** Base address of the coordinator's REST: its gRPC port wants a certificate, which a person does not have. */
  readonly coordinator: string;
  readonly signIn: string;
  readonly caFile: string;
  readonly sessionFile: string;
  /** Data folder of the local stack, where one was started. */
  readonly dataDir: string | undefined;
  /** Program of the user's own to change texts with. */
  readonly editor: string;
}

const environment = z.object({
  AATS_PROJECT_MANAGER_ADDRESS: z.string(),
  AATS_DATABASE_CONTROLLER_ADDRESS: z.string(),
  AATS_COORDINATOR_URL: z.string(),
  AATS_HITL_URL: z.string(),
  AATS_CA_FILE: z.string(),
});
/**
 * Settings from the environment; what it lacks comes from the local stack's file (`AATS_STACK_FILE`, else the
 * default data folder), so that on the machine of `npm start` nothing needs to be set.
 */
export function loadSettings(env: NodeJS.ProcessEnv): Settings {
  const stack = readStack(env);
  const parsed = environment.safeParse({ ...stack?.identities.cli, ...env });
  if (!parsed.success) {
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: 'I do not know where AATS is',
      lines: parsed.error.issues.map(({ path }) => ({ name: path.join('.'), message: 'is not set' })),
      hint: 'Start it here with “npm start”, or set these variables; “aats --help” explains them.',
    });
  }
  const values = parsed.data;
  return {
    projectManager: values.AATS_PROJECT_MANAGER_ADDRESS,
    databaseController: values.AATS_DATABASE_CONTROLLER_ADDRESS,
    coordinator: values.AATS_COORDINATOR_URL,
    signIn: values.AATS_HITL_URL,
    caFile: values.AATS_CA_FILE,
    sessionFile:
      env['AATS_SESSION_FILE'] ?? join(env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'aats', 'session.json'),
    dataDir: stack?.dataDir,
    editor: env['VISUAL'] ?? env['EDITOR'] ?? 'vi',
  };
}

const stackFile = z.object({ dataDir: z.string(), identities: z.object({ cli: z.record(z.string(), z.string()) }) });

/** The file of the local stack, where one was started. */
function readStack(env: NodeJS.ProcessEnv): z.infer<typeof stackFile> | undefined {
  const path = env['AATS_STACK_FILE'] ?? join(dataDir(env), 'run', 'stack.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (env['AATS_STACK_FILE'] === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable('the stack’s file', path, error);
  }
  try {
    return stackFile.parse(JSON.parse(text));
  } catch (error) {
    throw unreadable('the stack’s file', path, error);
  }
}

const dataDir = (env: NodeJS.ProcessEnv): string =>
  env['AATS_DATA_DIR'] ??
  (userInfo().uid === 0
    ? '/var/lib/aats/main'
    : join(env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'aats', 'main'));

/** A file that was named and cannot be used. */
export const unreadable = (what: string, path: string, error: unknown): CommandFailed =>
  new CommandFailed({
    exitCode: exitCodes.wrongInput,
    title: `I cannot read ${what}`,
    lines: [{ name: path, message: error instanceof z.ZodError ? 'is not one' : reasonOf(error) }],
  });
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'you may not read it',
  EISDIR: 'it is a folder',
};
/** Why a file could not be used, in words where there are some. */
export const reasonOf = (error: unknown): string =>
  reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? (error instanceof Error ? error.message : String(error));
