/**
 * What a terminal can show. Sixteen colours at most; `NO_COLOR`, a pipe or `--plain` takes colour away, never a sign.
 */
export interface Terminal {
  /** Of the window as it is now. */
  readonly columns: number;
  /** Whether it can be drawn on. */
  readonly isTerminal: boolean;
  paint(colour: Colour, text: string): string;
  line(text?: string): void;
  error(text: string): void;
  /** Says on stderr what goes on, once that takes two seconds, until the next output; nothing where nobody looks. */
  doing(what?: string): void;
}
const codes = { red: 31, green: 32, yellow: 33, blue: 34, dim: 90, bold: 1 } as const;
export type Colour = keyof typeof codes;

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly plain: boolean;
  /** It cannot move its cursor. */
  readonly dumb: boolean;
  /** Nothing but the answer: no word of what goes on. */
  readonly quiet: boolean;
}

export function createTerminal({ stdout, stderr, plain, dumb, quiet }: Streams): Terminal {
  const progress = createProgress(stderr, quiet || dumb);
  const painter = paints(stdout, plain);
  const errorsArePlain = !stderr.isTTY;
  return {
    get columns() {
      return columnsOf(stdout);
    },
    isTerminal: stdout.isTTY && !dumb,
    paint: painter,
    line(text = '') {
      progress.wipe();
      stdout.write(`${text}\n`);
    },
    error(text) {
      progress.wipe();
      stderr.write(`${errorsArePlain ? text.replace(colourCodes, '') : text}\n`);
    },
    doing: progress.doing,
  };
}
export const columnsOf = (stream: NodeJS.WriteStream): number =>
  Math.max(60, Math.min(stream.isTTY ? stream.columns : 80, 120));

/** Paints for a terminal and leaves text alone for anything else. */
export const paints =
  (stream: NodeJS.WriteStream, plain: boolean): Terminal['paint'] =>
  (colour, text) =>
    stream.isTTY && !plain && text !== '' ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;

/** Whether colour is unwanted (no-color.org: set, and not empty). */
export const isPlain = (env: NodeJS.ProcessEnv, asked: boolean | undefined): boolean =>
  asked === true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';

const progressAfterMs = 2000;

function createProgress(stderr: NodeJS.WriteStream, quiet: boolean) {
  let ticker: NodeJS.Timeout | undefined;
  let what = '';
  let since = 0;
  let isShown = false;
  const wipe = (): void => {
    if (isShown) stderr.write('\r\u001b[2K');
    isShown = false;
  };
  const tick = (): void => {
    const waited = Date.now() - since;
    if (waited < progressAfterMs) return;
    stderr.write(`\r\u001b[2K… ${cut(what, columnsOf(stderr) - 12)}, ${duration(waited)}`);
    isShown = true;
  };
  const doing = (next?: string): void => {
    if (quiet || !stderr.isTTY) return;
    if (next === undefined) {
      wipe();
      clearInterval(ticker);
      ticker = undefined;
      return;
    }
    what = next;
    if (ticker) return;
    since = Date.now();
    ticker = setInterval(tick, 500);
    ticker.unref();
  };
  return { wipe, doing };
}

const colourCodes = new RegExp('\u001b\\[\\d+m', 'g');
// A letter of East Asia or a picture takes two columns, a mark on a letter none.
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const columnsTaken = (character: string): number => (/\p{M}/u.test(character) ? 0 : wide.test(character) ? 2 : 1);

/** Columns that a text takes; colour codes take none. */
export const width = (text: string): number =>
  Array.from(text.replace(colourCodes, '')).reduce((sum, character) => sum + columnsTaken(character), 0);

export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)));
}
/** Left text, right text, one line of the given width. */
export function spread(columns: number, left: string, right: string): string {
  return right === '' ? left : pad(left, columns - width(right)) + right;
}
/** A text without colour, at most so wide. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  let taken = 0;
  for (const character of text) {
    taken += columnsTaken(character);
    if (taken > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
/** A text without colour as lines, broken between words. */
export function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && width(line) + 1 + width(word) > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

// Bidirectional and other invisible controls could make a line say what it is not; they are shown by their number.
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text from agents and plans as one harmless line. */
export function safe(text: string): string {
  return text
    .replace(/[\r\n\t]+/g, ' ')
    .replace(hidden, (character) => `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`);
}

/** A value from agents and plans as harmless, indented JSON. */
export const jsonLines = (value: unknown, indent: string): readonly string[] =>
  ((JSON.stringify(value, null, 2) as string | undefined) ?? 'null').split('\n').map((line) => indent + safe(line));

/** `7 s`, `1 m 52 s`, `2 h 06 m`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))} ms`;
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
  if (seconds < 86400)
    return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, '0')} m`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** `11:24:50` here, with the date when that is not today. */
export function clock(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.toDateString() === new Date().toDateString()
    ? time
    : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

const small = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
/** `two things are`, `one thing is`. */
export const things = (count: number): string =>
  count === 1 ? 'one thing is' : `${small[count] ?? String(count)} things are`;
export const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;
/** `a`, `a or b`, `a, b or c`. */
export const list = (words: readonly string[], last: 'and' | 'or'): string =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
/** `group:maintainers` as people say it. */
export function whoWords(who: string): string {
  const [kind = '', name = ''] = who.split(':');
  if (kind === 'group') return `anybody of ${safe(name)}`;
  return kind === 'role' ? `any ${safe(name).replace(/^aats-/, '')}` : safe(name);
}
