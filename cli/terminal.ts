/**
 * What a terminal can show. Sixteen colours at most; `NO_COLOR`, a pipe or `--plain` takes colour away, never a sign.
 */
export interface Terminal {
  readonly columns: number;
  readonly isTerminal: boolean;
  paint(colour: Colour, text: string): string;
  line(text?: string): void;
  error(text: string): void;
}
const codes = { red: 31, green: 32, yellow: 33, blue: 34, dim: 90, bold: 1 } as const;
export type Colour = keyof typeof codes;

export function createTerminal(options: {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly plain: boolean;
}): Terminal {
  const { stdout, stderr, plain } = options;
  const coloured = stdout.isTTY && !plain;
  return {
    columns: Math.max(60, Math.min(stdout.isTTY ? stdout.columns : 80, 120)),
    isTerminal: stdout.isTTY,
    paint: (colour, text) => (coloured && text !== '' ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text),
    line: (text = '') => void stdout.write(`${text}\n`),
    error: (text) => void stderr.write(`${text}\n`),
  };
}

// Colour codes take no room.
const width = (text: string): number => Array.from(text.replace(new RegExp('\u001b\\[\\d+m', 'g'), '')).length;

export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)));
}
/** Left text, right text, one line of the given width. */
export function spread(columns: number, left: string, right: string): string {
  return right === '' ? left : pad(left, columns - width(right)) + right;
}
export function cut(text: string, columns: number): string {
  const characters = Array.from(text);
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}

// Bidirectional and other invisible controls could make a line say what it is not; they are shown by their number.
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** Text from agents and plans as one harmless line. */
export function safe(text: string): string {
  return text
    .replace(/[\r\n\t]+/g, ' ')
    .replace(hidden, (character) => `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`);
}

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
