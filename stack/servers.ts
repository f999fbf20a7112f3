import { ferretdb } from './ferretdb';
import { kafka } from './kafka';
import { neo4j } from './neo4j';
import { postgres } from './postgres';
import { rabbitmq } from './rabbitmq';
import { redis } from './redis';
import { schemaRegistry } from './schema-registry';
import type { Server } from './server';
import { temporal } from './temporal';
import { temporalUi } from './temporal-ui';

/** Every server of the stack. They start as soon as what they need is ready, otherwise side by side. */
export const allServers: readonly Server[] = [
  temporal,
  postgres,
  redis,
  kafka,
  rabbitmq,
  ferretdb,
  neo4j,
  schemaRegistry,
  temporalUi,
];

/** Those that this stack runs itself: one whose variable names a server of the user's own is left to the user. */
export const ownServers = (env: NodeJS.ProcessEnv): readonly Server[] =>
  allServers.filter(({ replacedBy }) => replacedBy === undefined || env[replacedBy] === undefined);
