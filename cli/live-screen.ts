import { emitKeypressEvents } from 'node:readline';

/** A terminal that is drawn on as a whole. */
export interface LiveScreen {
  readonly rows: number;
  /** Writes the lines that changed since the last drawing, and nothing else. */
  draw(lines: readonly string[]): void;
  /** Gives the terminal back as it was; idempotent. */
  leave(): void;
}

// The other buffer keeps what the user had; lines do not wrap in it, so that one line stays one line.
const enter = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
const exit = '\u001b[?7h\u001b[?25h\u001b[?1049l';

/** Takes the terminal over until `leave`, or the end of the process; `resized` asks for a new drawing. */
export function openLiveScreen(
  stdout: NodeJS.WriteStream,
  pressed: (key: string) => void,
  resized: () => void,
): LiveScreen {
  let shown: readonly string[] = [];
  let isOpen = true;
  const stopKeys = listenToKeys(process.stdin, pressed);
  const clear = (): void => {
    shown = [];
    stdout.write('\u001b[2J');
    resized();
  };
  const leave = (): void => {
    if (!isOpen) return;
    isOpen = false;
    process.off('exit', leave);
    stdout.off('resize', clear);
    stopKeys();
    stdout.write(exit);
  };
  stdout.write(enter);
  stdout.on('resize', clear);
  process.on('exit', leave);
  return {
    get rows() {
      return stdout.rows;
    },
    draw(lines) {
      if (!isOpen) return;
      const height = Math.max(lines.length, shown.length);
      let out = '';
      for (let at = 0; at < height; at++)
        if (lines[at] !== shown[at]) out += `\u001b[${at + 1};1H\u001b[2K${lines[at] ?? ''}`;
      if (out !== '') stdout.write(out);
      shown = lines;
    },
    leave,
  };
}

/** Key by key; Ctrl-C interrupts as everywhere else. */
function listenToKeys(stdin: NodeJS.ReadStream, pressed: (key: string) => void): () => void {
  if (!stdin.isTTY) return () => undefined;
  const listener = (sequence: string | undefined): void => {
    if (sequence === '\u0003') process.kill(process.pid, 'SIGINT');
    else pressed(sequence ?? '');
  };
  emitKeypressEvents(stdin);
  stdin.setRawMode(true);
  stdin.on('keypress', listener);
  stdin.resume();
  return () => {
    stdin.off('keypress', listener);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
