import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret, TOTP } from 'otpauth';
import type { Client } from 'pg';
import { savePerson } from '../activities/stores/people-store';
import { hashPassword } from '../services/hitl/sign-in/sign-in';
import type { Role } from '../workflows/contracts/people';

/** The people of the local stack. They exist in its own database only; each stack makes up its own passwords. */
export interface DemoPerson {
  readonly name: string;
  readonly displayName: string;
  readonly password: string;
  /** Base32. */
  readonly totpSecret: string;
  readonly roles: readonly Role[];
  readonly groups: readonly string[];
  /** What to tell about them in a line. */
  readonly note: string;
}

const cast: readonly Pick<DemoPerson, 'name' | 'displayName' | 'roles' | 'groups' | 'note'>[] = [
  {
    name: 'mara',
    displayName: 'Mara',
    roles: ['aats-operator'],
    groups: ['maintainers'],
    note: 'operator, may approve',
  },
  { name: 'ana', displayName: 'Ana', roles: ['aats-operator'], groups: ['maintainers'], note: 'operator, may approve' },
  // Starting a plan creates tasks, which the specification gives to admins alone.
  { name: 'jonas', displayName: 'Jonas', roles: ['aats-admin'], groups: [], note: 'admin, started it, so may not' },
];
const words = [
  'amber',
  'copper',
  'lantern',
  'maple',
  'quiet',
  'silver',
  'cedar',
  'harbor',
  'meadow',
  'violet',
  'otter',
  'finch',
  'heron',
  'badger',
  'falcon',
  'willow',
  'ember',
  'pebble',
  'saffron',
  'thistle',
  'marble',
  'juniper',
  'comet',
  'velvet',
];
const word = (): string => words[randomInt(words.length)] ?? 'amber';

/** Reads who they are from `<data>/secrets/demo-people.json` (0600), made up once. */
export function demoPeople(dataDir: string): readonly DemoPerson[] {
  const file = join(dataDir, 'secrets', 'demo-people.json');
  if (!existsSync(file)) {
    const made = cast.map((one) => ({
      ...one,
      password: `${word()}-${word()}-${word()}-${randomInt(10, 100)}`,
      totpSecret: new Secret({ size: 20 }).base32,
    }));
    writeFileSync(`${file}.new`, JSON.stringify(made, null, 2), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return JSON.parse(readFileSync(file, 'utf8')) as DemoPerson[];
}

/** The code that counts now, and for how many seconds more. */
export function currentCode({ totpSecret }: DemoPerson): { readonly code: string; readonly secondsLeft: number } {
  const totp = new TOTP({ secret: Secret.fromBase32(totpSecret), digits: 6, period: 30, algorithm: 'SHA1' });
  return { code: totp.generate(), secondsLeft: 30 - (Math.floor(Date.now() / 1000) % 30) };
}

/** Puts them into the database; the same people again change nothing but the salt of their passwords. */
export async function seedDemoPeople(client: Client, people: readonly DemoPerson[], factorKey: string): Promise<void> {
  for (const person of people)
    await savePerson(client, { ...person, passwordHash: await hashPassword(person.password) }, factorKey);
}
