import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { existsSync, readFileSync } from 'node:fs';
import { createPostgres, postgresConfig } from '../activities/stores/postgres';
import { loadConfig } from '../services/runtime/config';
import type { DemoPerson } from './demo-codes';
import { demoPeople, seedDemoPeople } from './demo-people';
import { migrate } from './migrate';
import { prepareGivenServers } from './given-servers';
import type { StackContext } from './server';
import type { StackFile } from './stack-file';
import { ensureSigningKey } from './signing-key';
import { ensureSystemUser, isRoot, mayRun } from './system-users';

/** Brings the application's own things into the stack's servers: tables, people, keys, lists of agents. Idempotent. */
export async function setUpApplication(
  ctx: StackContext,
  { identities }: StackFile,
): Promise<{ readonly people: readonly DemoPerson[]; readonly agentEnvironment: Readonly<Record<string, string>> }> {
  ensureSigningKey(join(ctx.dataDir, 'secrets', 'signing-key.pem'));
  const people = demoPeople(ctx.dataDir);
  const factorKey = await ctx.secret('hitl-factor-key');
  const pool = createPostgres(loadConfig(postgresConfig, { ...identities.admin }), 1);
  const client = await pool.connect();
  try {
    await prepareGivenServers(ctx, identities.admin, client);
    await migrate(client);
    const { rows } = await client.query<{ count: string }>('select count(*) from people.person where name = any($1)', [
      people.map(({ name }) => name),
    ]);
    if (Number(rows[0]?.count) < people.length)
      await seedDemoPeople(client, people, readFileSync(factorKey.path, 'utf8'));
  } finally {
    client.release();
    await pool.end();
  }
  const agents = join(ctx.dataDir, 'agents');
  await mkdir(agents, { recursive: true, mode: 0o700 });
  const [commands, hosts] = [join(agents, 'commands.json'), join(agents, 'http-hosts.json')];
  // What the shipped agents may run and ask is next to nothing at first; what the user made of it stays.
  await writeOnce(commands, {
    echo: { program: '/bin/echo', argument: '[\\w .,:\\-]{0,200}' },
    date: { program: '/bin/date', args: ['--utc', '--iso-8601=seconds'] },
  });
  await writeOnce(hosts, []);
  return {
    people,
    agentEnvironment: { AATS_COMMANDS_FILE: commands, AATS_HTTP_HOSTS_FILE: hosts, ...(await programUser()) },
  };
}

async function writeOnce(file: string, content: object): Promise<void> {
  if (existsSync(file)) return;
  await writeFile(`${file}.new`, JSON.stringify(content, null, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Started by root, tasks run programs as a user of their own, unless Node is where that user cannot get at it. */
async function programUser(): Promise<Readonly<Record<string, string>>> {
  if (!isRoot()) return {};
  const user = await ensureSystemUser('aats-programs');
  if (await mayRun(user, process.execPath)) return { AATS_PROGRAM_USER: user.name };
  return {};
}
