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
const stackFile = z.object({ identities: z.object({ cli: z.record(z.string(), z.string()) }) });

/**
 * Settings from the environment; what it lacks comes from the local stack's file (`AATS_STACK_FILE`, else the
 * default data folder), so that on the machine of `npm start` nothing needs to be set.
 */
export function loadSettings(env: NodeJS.ProcessEnv): Settings {
  const stack = localStack(env);
  const parsed = environment.safeParse({ ...stack, ...env });
  if (!parsed.success) {
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: 'I do not know where AATS is.',
      lines: parsed.error.issues.map(({ path }) => `${path.join('.')} is not set`),
      hint: 'Start it here with “npm start”, or set these variables to the addresses of your installation.',
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
    editor: env['VISUAL'] ?? env['EDITOR'] ?? 'vi',
  };
}

function localStack(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const data =
    env['AATS_DATA_DIR'] ??
    (userInfo().uid === 0 ? '/var/lib/aats/main' : join(homedir(), '.local', 'share', 'aats', 'main'));
  try {
    return stackFile.parse(JSON.parse(readFileSync(env['AATS_STACK_FILE'] ?? join(data, 'run', 'stack.json'), 'utf8')))
      .identities.cli;
  } catch {
    return {};
  }
}
