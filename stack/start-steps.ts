import { minutes } from './start-banner';

export const columns = Math.max(72, Math.min(process.stdout.columns || 80, 120));
const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const codes = { green: 32, yellow: 33, red: 31, dim: 90, bold: 1 } as const;
export const paint = (name: keyof typeof codes, text: string): string =>
  colour ? `\u001b[${codes[name]}m${text}\u001b[0m` : text;
// A line of progress that stands there makes room.
export const say = (text: string): void =>
  void process.stdout.write(process.stdout.isTTY ? `\r\u001b[2K${text}\n` : `${text}\n`);

/** What a step says while it goes on. */
export type Tell = (note: string) => void;
interface Done<T> {
  readonly note: string;
  readonly value: T;
  /** It stands and waits for a person. */
  readonly waits?: boolean;
}

/** One line a step: what it was, a note, and how long it took; meanwhile, how far it is. */
export async function step<T>(name: string, work: (tell: Tell) => Promise<Done<T>>): Promise<T> {
  const from = Date.now();
  let doing = '';
  const line = (sign: string, note: string): string => {
    const took = minutes(Date.now() - from);
    const room = columns - 29 - took.length;
    const shown = note.length > room ? `${note.slice(0, room - 1)}…` : note;
    return `  ${sign} ${name.padEnd(24)}${paint('dim', shown.padEnd(room + 1))}${took}`;
  };
  const ticker = process.stdout.isTTY
    ? setInterval(() => process.stdout.write(`\r\u001b[2K${line(paint('yellow', '…'), doing)}`), 500)
    : undefined;
  const wipe = (): void => {
    clearInterval(ticker);
    if (ticker) process.stdout.write('\r\u001b[2K');
  };
  try {
    const { note, value, waits } = await work((now) => (doing = now));
    wipe();
    say(line(waits ? paint('yellow', '◆') : paint('green', '✓'), note));
    return value;
  } catch (error) {
    wipe();
    throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
