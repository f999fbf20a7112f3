import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { Pool, PoolClient, Client } from 'pg';
import { answering } from './answering';
import type { Person, Role } from '../../workflows/contracts/people';

export interface KnownPerson extends Person {
  readonly displayName: string;
  readonly passwordHash: string;
  /** Base32 (RFC 4648), decrypted. */
  readonly totpSecret: string;
}
/** Rejects with StoreUnavailable when PostgreSQL has not answered for some seconds. */
export interface PeopleStore {
  /** Undefined when there is no such active person. */
  find(name: string): Promise<KnownPerson | undefined>;
  /** True once for each time step and person, whoever asks at the same time: a code counts once. */
  useTotpStep(name: string, step: number): Promise<boolean>;
  ping(): Promise<unknown>;
}
export interface NewPerson {
  readonly name: string;
  readonly displayName: string;
  readonly passwordHash: string;
  readonly totpSecret: string;
  readonly roles: readonly Role[];
  readonly groups: readonly string[];
}

interface PersonRow {
  readonly name: string;
  readonly display_name: string;
  readonly password_hash: string;
  readonly totp_secret: Buffer;
  readonly roles: Role[];
  readonly groups: string[];
}

/** `factorKey` is the text of a secret file; second factors are encrypted with a key derived from it. */
export function createPeopleStore(pool: Pool, factorKey: string): PeopleStore {
  return answering<PeopleStore>('PostgreSQL', {
    async find(name) {
      const { rows } = await pool.query<PersonRow>({
        name: 'people-find',
        text: `select p.name, p.display_name, p.password_hash, p.totp_secret,
                 coalesce((select array_agg(role order by role) from people.person_role where person = p.name), '{}') as roles,
                 coalesce((select array_agg(group_name order by group_name) from people.person_group where person = p.name), '{}') as groups
               from people.person p where p.name = $1 and p.active`,
        values: [name],
      });
      const [row] = rows;
      return (
        row && {
          name: row.name,
          displayName: row.display_name,
          passwordHash: row.password_hash,
          totpSecret: decrypt(row.totp_secret, factorKey),
          roles: row.roles,
          groups: row.groups,
        }
      );
    },
    async useTotpStep(name, step) {
      const { rowCount } = await pool.query({
        name: 'people-use-step',
        text: 'update people.person set totp_last_step = $2 where name = $1 and totp_last_step < $2',
        values: [name, step],
      });
      return rowCount === 1;
    },
    ping: () => pool.query('select 1'),
  });
}

/** Adds a person, or changes one to just this. For the administrator's connection. */
export async function savePerson(client: PoolClient | Client, person: NewPerson, factorKey: string): Promise<void> {
  await client.query('begin');
  try {
    await client.query(
      `insert into people.person (name, display_name, password_hash, totp_secret) values ($1, $2, $3, $4)
       on conflict (name) do update set display_name = $2, password_hash = $3, totp_secret = $4`,
      [person.name, person.displayName, person.passwordHash, encrypt(person.totpSecret, factorKey)],
    );
    await client.query('delete from people.person_role where person = $1', [person.name]);
    await client.query('delete from people.person_group where person = $1', [person.name]);
    for (const role of person.roles)
      await client.query('insert into people.person_role values ($1, $2)', [person.name, role]);
    for (const group of person.groups)
      await client.query('insert into people.person_group values ($1, $2)', [person.name, group]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** Who there is, for the validation of plans: no secret is read. */
export interface Directory {
  readonly people: readonly {
    readonly name: string;
    readonly roles: readonly string[];
    readonly groups: readonly string[];
  }[];
}
export async function readDirectory(pool: Pool): Promise<Directory> {
  const { rows } = await pool.query<{ name: string; roles: string[]; groups: string[] }>(
    `select p.name, array_remove(array_agg(distinct r.role), null) as roles, array_remove(array_agg(distinct g.group_name), null) as groups
     from people.person p left join people.person_role r on r.person = p.name left join people.person_group g on g.person = p.name
     where p.active group by p.name`,
  );
  return { people: rows };
}

const derive = (factorKey: string): Buffer =>
  createHash('sha256').update('aats second factors\0').update(factorKey).digest();

function encrypt(text: string, factorKey: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', derive(factorKey), nonce);
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}
function decrypt(bytes: Buffer, factorKey: string): string {
  const decipher = createDecipheriv('aes-256-gcm', derive(factorKey), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
}
