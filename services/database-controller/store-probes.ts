import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { readSecretFile } from '../runtime/config';
import type { DatabaseControllerConfig } from './config';

/** Asks a store by a real operation; rejects with the reason when it does not do it. */
export interface Probe {
  readonly check: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** PostgreSQL by a query over verified TLS, as a user that may do nothing else. */
export function postgresProbe(config: DatabaseControllerConfig): Probe {
  const { AATS_POSTGRES_URL, AATS_POSTGRES_PASSWORD_FILE, AATS_SERVERS_CA_FILE } = config;
  // Not as a connection string: what such a string lacks, the password, it would take away from the rest.
  const url = new URL(AATS_POSTGRES_URL);
  const pool = new Pool({
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    database: url.pathname.slice(1),
    max: 1,
    connectionTimeoutMillis: 2000,
    ...(AATS_POSTGRES_PASSWORD_FILE && { password: readSecretFile(AATS_POSTGRES_PASSWORD_FILE) }),
    ssl: { ca: readFileSync(AATS_SERVERS_CA_FILE) },
  });
  // An idle connection that breaks is replaced at the next query.
  pool.on('error', () => undefined);
  return {
    check: async () => {
      await pool.query('select 1');
    },
    close: () => pool.end(),
  };
}

/** Redis Cluster by what any one node says of the whole: every slot must be served. */
export function redisProbe(config: DatabaseControllerConfig): Probe {
  const { AATS_REDIS_NODES, AATS_REDIS_USER, AATS_REDIS_PASSWORD_FILE, AATS_SERVERS_CA_FILE } = config;
  const password = AATS_REDIS_PASSWORD_FILE && readSecretFile(AATS_REDIS_PASSWORD_FILE);
  const ca = readFileSync(AATS_SERVERS_CA_FILE);
  const stateBy = async (node: string): Promise<string> => {
    const [host = '', port = ''] = node.split(':');
    const redis = new Redis({
      host,
      port: Number(port),
      lazyConnect: true,
      connectTimeout: 1000,
      retryStrategy: null,
      tls: { ca },
      ...(AATS_REDIS_USER && { username: AATS_REDIS_USER }),
      ...(password && { password }),
    });
    // The command's own rejection is the one that is told.
    redis.on('error', () => undefined);
    try {
      await redis.connect();
      return await redis.cluster('INFO');
    } finally {
      redis.disconnect();
    }
  };
  return {
    check: async () => {
      const state = await Promise.any(AATS_REDIS_NODES.split(',').map(stateBy)).catch(() => {
        throw new Error('no node answers');
      });
      if (!state.includes('cluster_state:ok')) throw new Error('the cluster does not serve every slot');
    },
    close: () => Promise.resolve(),
  };
}
