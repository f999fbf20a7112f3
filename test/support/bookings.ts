import { appendFileSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';

/** What was really done, in its order. */
export interface Deed {
  readonly deed: 'booked' | 'cancelled' | 'charged';
  readonly key: string;
}

/**
 * The books of airlines, hotels and banks in a folder, which several agents write at once. The file system makes each
 * entry exclusive: doing something twice is doing it once, as outside systems with idempotency keys have it.
 */
export function openBookings(folder: string) {
  const standing = join(folder, 'standing');
  const cancelled = join(folder, 'cancelled');
  const journal = join(folder, 'journal');
  for (const one of [standing, cancelled]) mkdirSync(one, { recursive: true });
  appendFileSync(journal, '');
  const note = (deed: Deed): void => {
    appendFileSync(journal, `${JSON.stringify(deed)}\n`);
  };
  const fileOf = (base: string, key: string): string => join(base, encodeURIComponent(key));
  const unless = (code: string, act: () => void): boolean => {
    try {
      act();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === code) return false;
      throw error;
    }
  };
  return {
    enter(deed: 'booked' | 'charged', key: string): void {
      const isNew = unless('EEXIST', () => {
        closeSync(openSync(fileOf(standing, key), 'wx'));
      });
      if (isNew) note({ deed, key });
    },
    /** Of what was never booked, or is cancelled already, nothing is to be cancelled. */
    cancel(key: string): void {
      const wasThere = unless('ENOENT', () => {
        renameSync(fileOf(standing, key), fileOf(cancelled, key));
      });
      if (wasThere) note({ deed: 'cancelled', key });
    },
    /** Entered and not cancelled. */
    standing: (): readonly string[] => readdirSync(standing).map(decodeURIComponent).sort(),
    journal: (): readonly Deed[] =>
      readFileSync(journal, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Deed),
  };
}
