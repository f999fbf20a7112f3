import { randomInt } from 'node:crypto';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { Secret } from 'otpauth';
import type { Client } from 'pg';
import { savePerson } from '../activities/stores/people-store';
import { hashPassword } from '../services/hitl/sign-in/sign-in';
import { type DemoPerson, demoPeopleFile, readDemoPeople } from './demo-codes';

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
  const file = demoPeopleFile(dataDir);
  if (!existsSync(file)) {
    const made = cast.map((one) => ({
      ...one,
      password: `${word()}-${word()}-${word()}-${randomInt(10, 100)}`,
      totpSecret: new Secret({ size: 20 }).base32,
    }));
    writeFileSync(`${file}.new`, JSON.stringify(made, null, 2), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return readDemoPeople(dataDir);
}

/** Puts them into the database; the same people again change nothing but the salt of their passwords. */
export async function seedDemoPeople(client: Client, people: readonly DemoPerson[], factorKey: string): Promise<void> {
  for (const person of people)
    await savePerson(client, { ...person, passwordHash: await hashPassword(person.password) }, factorKey);
}
