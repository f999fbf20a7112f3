import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Work that an agent began; tasks are named by their idempotency key. */
export interface Execution {
  readonly task: string;
  readonly agent: string;
  readonly at: string;
}
/** Entry of a task: made by the first execution of it, found by all that follow. */
export interface Entry {
  readonly token: string;
  readonly agent: string;
}

/**
 * A ledger in a folder that several agents write at once: what they began, in order, and one entry a task, which the
 * file system makes exclusive. An outside system with idempotency keys behaves like this.
 */
export function openLedger(folder: string) {
  const entries = join(folder, 'entries');
  const executions = join(folder, 'executions');
  const waves = join(folder, 'waves');
  for (const made of [entries, waves]) mkdirSync(made, { recursive: true });
  const append = (file: string, flag: 'a' | 'wx', text: string): void => {
    const handle = openSync(file, flag);
    writeSync(handle, text);
    closeSync(handle);
  };
  const fileOf = (task: string): string => join(entries, encodeURIComponent(task));
  const read = (task: string): Entry => JSON.parse(readFileSync(fileOf(task), 'utf8')) as Entry;
  append(executions, 'a', '');
  return {
    began(execution: Execution): void {
      append(executions, 'a', `${JSON.stringify(execution)}\n`);
    },
    /** Makes the entry, or gives the one that is there. */
    apply(task: string, entry: Entry): Entry {
      // Whole before it has its name: whoever reads never sees half of one.
      const made = join(folder, randomUUID());
      append(made, 'wx', JSON.stringify(entry));
      try {
        linkSync(made, fileOf(task));
        return entry;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return read(task);
        throw error;
      } finally {
        unlinkSync(made);
      }
    },
    /** Tasks of a wave wait until it is open; wave 0 always is. So a test decides how far a plan can get. */
    open(wave: number): void {
      append(join(waves, String(wave)), 'a', '');
    },
    isOpen: (wave: number): boolean => wave === 0 || existsSync(join(waves, String(wave))),
    entries: (): ReadonlyMap<string, Entry> =>
      new Map(
        readdirSync(entries)
          .map(decodeURIComponent)
          .map((task) => [task, read(task)]),
      ),
    executions: (): readonly Execution[] =>
      readFileSync(executions, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Execution),
  };
}
