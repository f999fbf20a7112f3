import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret, TOTP } from 'otpauth';
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

export const demoPeopleFile = (dataDir: string): string => join(dataDir, 'secrets', 'demo-people.json');
export const readDemoPeople = (dataDir: string): readonly DemoPerson[] =>
  JSON.parse(readFileSync(demoPeopleFile(dataDir), 'utf8')) as DemoPerson[];

/** The code that counts now, and for how many seconds more. */
export function currentCode({ totpSecret }: DemoPerson): { readonly code: string; readonly secondsLeft: number } {
  const totp = new TOTP({ secret: Secret.fromBase32(totpSecret), digits: 6, period: 30, algorithm: 'SHA1' });
  return { code: totp.generate(), secondsLeft: 30 - (Math.floor(Date.now() / 1000) % 30) };
}
