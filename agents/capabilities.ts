import { join } from 'node:path';
import { commandCapability } from './command/capability';
import { npmEnvironment, type WorkConfig } from './config';
import { dependencyReviewCapabilities } from './dependency-review/capabilities';
import { echoCapability } from './echo';
import { httpCapability } from './http/capability';
import type { Capability } from './work';

/** Everything the shipped agents can do; a process offers those it is told to. */
export function createCapabilities(config: WorkConfig, env: NodeJS.ProcessEnv): readonly Capability[] {
  const { AATS_AGENT_DATA_DIR: data, AATS_COMMANDS_FILE = {}, AATS_HTTP_HOSTS_FILE = [] } = config;
  return [
    echoCapability,
    commandCapability(AATS_COMMANDS_FILE, config.AATS_PROGRAM_USER),
    httpCapability(AATS_HTTP_HOSTS_FILE),
    ...dependencyReviewCapabilities({
      repositories: join(data, 'repositories'),
      publications: join(data, 'publications'),
      npmEnvironment: npmEnvironment(env, config),
      path: config.PATH,
      programUser: config.AATS_PROGRAM_USER,
    }),
  ];
}
