import { spawnSync } from 'node:child_process';

/** What stands before a program so that all that comes of it ends with it, and that keeps it from the network. */
export interface Isolation {
  /** Nothing where the kernel does not let this user make namespaces. */
  command(may: { readonly network: boolean }): readonly string[];
  /** How many processes this adds to those of the program. */
  readonly processes: number;
  /** Whether programs can be kept from the machine's network. */
  readonly cutsNetwork: boolean;
}

const processes = ['--pid', '--fork', '--kill-child', '--mount-proc'];
/**
 * For who is not root, a namespace of users in which processes stay that user's, and keep what they may do there (it
 * takes that to set up the loopback) until the program begins. Root needs none, and runs programs as users that it
 * would not know.
 */
const ofUser = ['--user', '--map-current-user', '--keep-caps', ...processes];
/** A new network namespace has a loopback that is down. SIOCSIFFLAGS with IFF_UP and IFF_RUNNING: netdevice(7). */
const loopbackUp = `/usr/bin/perl -MSocket -e '$lo = pack("a16 s x22", "lo", 0x41); socket(S, AF_INET, SOCK_DGRAM, 0) && ioctl(S, 0x8914, $lo) or die "lo: $!"'`;
/**
 * The first process of a namespace takes in orphans, and signals that it does not handle pass it by. So a shell is the
 * first; it runs the program as its arguments say and reads none of them.
 */
const firstProcess = (before: string): readonly string[] => [
  '/bin/sh',
  '-c',
  `unset PWD OLDPWD; ${before}setpriv --ambient-caps -all --inh-caps -all -- "$@"; exit $?`,
  'sh',
];
const probeMs = 5000;

let found: Isolation | undefined;

/**
 * A process namespace: the kernel ends everything in it when its first process ends, whatever a process did to hide. For a
 * program that may not use the network also one of the network, with a loopback of its own: what listens on the machine's,
 * some of it without a password, is not there. Looks once what is possible here. Needs `unshare` and `setpriv`
 * (util-linux 2.38), and perl, which every Debian has.
 */
export function isolation(): Isolation {
  if (found) return found;
  const flags = process.getuid?.() === 0 ? processes : ofUser;
  const open = ['unshare', ...flags, '--', ...firstProcess('')];
  const cut = ['unshare', ...flags, '--net', '--', ...firstProcess(`${loopbackUp} && `)];
  const works = ([program = '', ...args]: readonly string[]): boolean =>
    spawnSync(program, [...args, 'true'], { stdio: 'ignore', timeout: probeMs }).status === 0;
  const cutsNetwork = works(cut);
  if (cutsNetwork || works(open))
    found = { command: ({ network }) => (network || !cutsNetwork ? open : cut), processes: 2, cutsNetwork };
  else found = { command: () => [], processes: 0, cutsNetwork };
  return found;
}
