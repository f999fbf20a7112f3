import { readFileSync } from 'node:fs';
import { Pool } from 'pg';
import { z } from 'zod';
import { readableFile } from '../readable-file';

/** Fragment for processes that hold a PostgreSQL connection: TLS verify-full, password from a file. */
export const postgresConfig = z.object({
  AATS_POSTGRES_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  AATS_POSTGRES_PASSWORD_FILE: readableFile,
  AATS_SERVERS_CA_FILE: readableFile,
});
export type PostgresConfig = z.output<typeof postgresConfig>;

/** A pool that connects on first use; its errors reach whoever queries. Closed by the process. */
export function createPostgres(config: PostgresConfig, max = 10): Pool {
  const url = new URL(config.AATS_POSTGRES_URL);
  const pool = new Pool({
    // Not `connectionString`: the driver lets the password that it lacks win over the one given here.
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    password: readFileSync(config.AATS_POSTGRES_PASSWORD_FILE, 'utf8').trimEnd(),
    ssl: { ca: readFileSync(config.AATS_SERVERS_CA_FILE, 'utf8'), minVersion: 'TLSv1.3' },
    max,
    connectionTimeoutMillis: 3000,
    statement_timeout: 10_000,
    // Of a server that is stopped or cut off, which ends no statement: the connection is given up.
    query_timeout: 12_000,
  });
  pool.on('error', () => undefined); // an idle connection that broke is replaced
  return pool;
}
