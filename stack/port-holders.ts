import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface PortHolder {
  readonly port: number;
  /** Absent when the holder is another user's and this one may not look. */
  readonly pid?: number;
  readonly command?: string;
}

/** Who listens on which of these TCP ports, from the kernel's own tables. */
export function portHolders(wanted: readonly number[]): readonly PortHolder[] {
  const listening = new Map<string, number>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let lines: string[];
    try {
      lines = readFileSync(table, 'utf8').split('\n').slice(1);
    } catch {
      continue; // no IPv6 here
    }
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      const isListening = fields[3] === '0A';
      if (isListening && wanted.includes(port)) listening.set(fields[9] ?? '', port);
    }
  }
  const found = new Map<number, PortHolder>([...listening.values()].map((port) => [port, { port }]));
  if (found.size === 0) return [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let descriptors: string[];
    try {
      descriptors = readdirSync(`/proc/${pid}/fd`);
    } catch {
      continue;
    }
    for (const descriptor of descriptors) {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1];
        const port = inode === undefined ? undefined : listening.get(inode);
        if (port !== undefined)
          found.set(port, {
            port,
            pid: Number(pid),
            command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 120),
          });
      } catch {
        // closed meanwhile
      }
    }
  }
  return [...found.values()].sort((a, b) => a.port - b.port);
}

export const holderSentence = ({ port, pid, command }: PortHolder): string =>
  `port ${port} is held by ${pid === undefined ? 'a process of another user' : `process ${pid} (${command ?? ''})`}`;
