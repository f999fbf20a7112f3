import { spawnSync } from 'node:child_process';

/** What stands before a program so that all that comes of it ends with it. */
export interface Isolation {
  /** Nothing where the kernel does not let this user make namespaces. */
  readonly command: readonly string[];
  /** How many processes this adds to those of the program. */
  readonly processes: number;
}

const namespace = ['--pid', '--fork', '--kill-child', '--mount-proc'];
/** The first is for root; the second for whom the kernel lets make namespaces of users, whose processes stay that user's. */
const ways = [namespace, ['--user', '--map-current-user', ...namespace]];
/**
 * The first process of a namespace takes in orphans, and signals that it does not handle pass it by. So a shell is the
 * first; it runs the program as its arguments say and reads none of them.
 */
const firstProcess = ['/bin/sh', '-c', 'unset PWD OLDPWD; "$@"; exit $?', 'sh'];
const probeMs = 5000;

let found: Isolation | undefined;

/**
 * A process namespace: the kernel ends everything in it when its first process ends, whatever a process did to hide.
 * Looks once what is possible here. Needs `unshare` (util-linux 2.38).
 */
export function isolation(): Isolation {
  if (found) return found;
  const way = ways.find(
    (flags) => spawnSync('unshare', [...flags, 'true'], { stdio: 'ignore', timeout: probeMs }).status === 0,
  );
  found = way ? { command: ['unshare', ...way, '--', ...firstProcess], processes: 2 } : { command: [], processes: 0 };
  return found;
}
