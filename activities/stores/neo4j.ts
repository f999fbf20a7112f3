import { readFile } from 'node:fs/promises';
import neo4j, { type AuthToken, type Config, type Driver } from 'neo4j-driver';
import { z } from 'zod';
import { readableFile } from '../readable-file';

/** Fragment for processes that hold a Neo4j connection. */
export const neo4jConfig = z.object({
  AATS_NEO4J_URL: z.url({ protocol: /^(bolt|neo4j)(\+s)?$/ }),
  AATS_NEO4J_USER: z.string().min(1),
  AATS_NEO4J_PASSWORD_FILE: readableFile,
  AATS_SERVERS_CA_FILE: readableFile.optional(),
});
export type Neo4jConfig = z.output<typeof neo4jConfig>;

export interface Neo4j {
  readonly driver: Driver;
  /** Reads from the graph; rejects within 2 s while there is no server. */
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** The driver declares its options as a class that it does not export; they are plain properties. */
const createDriver: (url: string, auth: AuthToken, options: Pick<Config, keyof Config>) => Driver = neo4j.driver;

/**
 * Opens the pool without waiting for the server; an idle connection is tried before its next use, so that one whose server
 * is away fails within some seconds. A URL ending in `+s` brings its own trust; else the CA file is it.
 */
export async function openNeo4j(config: Neo4jConfig): Promise<Neo4j> {
  const password = (await readFile(config.AATS_NEO4J_PASSWORD_FILE, 'utf8')).trimEnd();
  const ownTrust =
    !new URL(config.AATS_NEO4J_URL).protocol.endsWith('+s:') && config.AATS_SERVERS_CA_FILE !== undefined;
  const options = {
    userAgent: 'aats',
    disableLosslessIntegers: true,
    maxConnectionPoolSize: 20,
    connectionTimeout: 3000,
    connectionAcquisitionTimeout: 4000,
    connectionLivenessCheckTimeout: 1000,
    maxTransactionRetryTime: 3000,
    ...(ownTrust && {
      encrypted: 'ENCRYPTION_ON' as const,
      trust: 'TRUST_CUSTOM_CA_SIGNED_CERTIFICATES' as const,
      trustedCertificates: [config.AATS_SERVERS_CA_FILE ?? ''],
    }),
  };
  const driver = createDriver(config.AATS_NEO4J_URL, neo4j.auth.basic(config.AATS_NEO4J_USER, password), options);
  return {
    driver,
    ping: async () => {
      const session = driver.session();
      try {
        await session.run('RETURN 1', {}, { timeout: 2000 });
      } finally {
        await session.close();
      }
    },
    close: () => driver.close(),
  };
}
