import { readFileSync } from 'node:fs';
import { Pool } from 'pg';
import { z } from 'zod';

/** Fragment for processes that hold a PostgreSQL connection: TLS verify-full, password from a file. */
export const postgresConfig = z.object({ AATS_POSTGRES_URL: z.url({ protocol: /^postgres(ql)?$/ }), AATS_POSTGRES_PASSWORD_FILE: z.string().min(1), AATS_CA_FILE: z.string().min(1) });
export type PostgresConfig = z.output<typeof postgresConfig>;

/** A pool that connects on first use; its errors reach whoever queries. Closed by the process. */
export function createPostgres(config: PostgresConfig, max = 10): Pool {
  const pool = new Pool({
    connectionString: config.AATS_POSTGRES_URL,
    password: readFileSync(config.AATS_POSTGRES_PASSWORD_FILE, 'utf8').trimEnd(),
    ssl: { ca: readFileSync(config.AATS_CA_FILE, 'utf8'), minVersion: 'TLSv1.3' },
    max,
    connectionTimeoutMillis: 3000,
    statement_timeout: 10_000,
  });
  pool.on('error', () => undefined); // an idle connection that broke is replaced
  return pool;
}
