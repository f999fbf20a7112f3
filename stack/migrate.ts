import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientBase } from 'pg';
import { packageRoot } from './package-root';

const folder = join(packageRoot, 'activities', 'stores', 'migrations');
const lockId = 4_720_014; // any number, the same for all that migrate this database

/**
 * Runs the SQL files that the database has not seen, in the order of their numbers, each in its own transaction. Files
 * are only ever added. Two at once wait for each other; an interrupted one is begun again.
 */
export async function migrate(client: ClientBase): Promise<readonly string[]> {
  await client.query('select pg_advisory_lock($1)', [lockId]);
  try {
    await client.query(
      'create table if not exists migration (name text primary key, done_at timestamptz not null default now())',
    );
    const { rows } = await client.query<{ name: string }>('select name from migration');
    const done = new Set(rows.map(({ name }) => name));
    const files = (await readdir(folder)).filter((name) => /^\d{4}_.+\.sql$/.test(name) && !done.has(name)).sort();
    for (const name of files) {
      const sql = await readFile(join(folder, name), 'utf8');
      try {
        await client.query('begin');
        await client.query(sql);
        await client.query('insert into migration (name) values ($1)', [name]);
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw new Error(`migration ${name} failed: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }
    return files;
  } finally {
    await client.query('select pg_advisory_unlock($1)', [lockId]);
  }
}
