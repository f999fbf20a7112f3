import { readdirSync, readFileSync } from 'node:fs';

interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Tells a process from a later one with its number. */
  readonly startedAt: string;
}

/** The processes that come of one program, wherever in the process table they hide. */
export interface ProcessTree {
  /** How many there are, and what they hold in memory together: a page that several share counts once in all. */
  look(): { readonly processes: number; readonly bytes: () => number };
  /** Ends those that are there, and those they start meanwhile, until there are none. */
  endAll(): void;
}

const rounds = 50;

/**
 * A process belongs to the program if it is in its session or group, if its parent belongs, or if it carries the
 * mark: a line of the program's environment, which children inherit, also those that leave the group. In a process
 * namespace none is missed, as orphans stay in it; elsewhere one is that clears its environment and loses its parent
 * between two looks. Needs `/proc`; reads it at once, since that is a matter of milliseconds and what is seen is soon
 * out of date.
 */
export function createProcessTree(leader: number, mark: string): ProcessTree {
  const known = new Map<number, { readonly startedAt: string; readonly belongs: boolean }>();

  const members = (): readonly Seen[] => {
    const all = new Map(processTable().map((seen) => [seen.pid, seen]));
    for (const pid of known.keys()) if (!all.has(pid)) known.delete(pid);
    const belongs = (seen: Seen): boolean => {
      const before = known.get(seen.pid);
      if (before?.startedAt === seen.startedAt) return before.belongs;
      const parent = all.get(seen.parent);
      const answer =
        [seen.pid, seen.session, seen.group].includes(leader) ||
        (parent !== undefined && belongs(parent)) ||
        read(seen.pid, 'environ').split('\0').includes(mark);
      known.set(seen.pid, { startedAt: seen.startedAt, belongs: answer });
      return answer;
    };
    return [...all.values()].filter(belongs);
  };
  return {
    look() {
      const found = members();
      return {
        processes: found.length,
        bytes: () => found.reduce((sum, { pid }) => sum + proportionalBytes(pid), 0),
      };
    },
    endAll() {
      for (let round = 0; round < rounds; round++) {
        const found = members();
        if (found.length === 0) return;
        for (const { pid } of found) end(pid, 'SIGKILL');
      }
    },
  };
}

/** One that is gone needs no ending; one that has become another user's cannot be ended from here. */
export function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Everything that runs, but for what has ended and only waits to be collected. */
const processTable = (): readonly Seen[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const text = read(Number(name), 'stat');
      // proc(5): the program's name stands in parentheses and may hold anything.
      const [state = '', parent, group, session, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      if (['', 'Z', 'X'].includes(state)) return [];
      const numbers = { pid: Number(name), parent: Number(parent), group: Number(group), session: Number(session) };
      return [{ ...numbers, startedAt: rest[15] ?? '' }];
    });

const proportionalBytes = (pid: number): number =>
  Number(/^Pss: *(\d+) kB/m.exec(read(pid, 'smaps_rollup'))?.[1] ?? 0) * 1024;

/** Nothing of a process that is gone, or that is another user's and not to be looked into. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
