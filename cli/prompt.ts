import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CommandFailed, exitCodes } from './exit-codes';

/** Asks on the terminal; stdout stays free for the answer of the command. Rejects when nobody is there to answer. */
export const ask = (question: string, signal: AbortSignal): Promise<string> =>
  read(question, process.stderr, signal).then((answer) => answer.trim());

/** Asks for a secret: what is typed is not shown. */
export async function askSecret(question: string, signal: AbortSignal): Promise<string> {
  const nowhere = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  process.stderr.write(question);
  try {
    return await read('', nowhere, signal);
  } finally {
    process.stderr.write('\n');
  }
}

async function read(question: string, output: NodeJS.WritableStream, signal: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY) throw nobodyAnswers();
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  // In a terminal that is read key by key, Ctrl-C is a key like any other.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<never>((_resolve, reject) => {
    lines.once('close', () => {
      reject(nobodyAnswers());
    });
  });
  try {
    return await Promise.race([lines.question(question, { signal }), closed]);
  } catch (error) {
    output.write('\n');
    throw error;
  } finally {
    closed.catch(() => undefined); // it closes now, and the answer is there
    lines.close();
  }
}

const nobodyAnswers = (): CommandFailed =>
  new CommandFailed({
    exitCode: exitCodes.wrongInput,
    title: 'nobody is at the terminal to answer',
    lines: [],
    hint: 'In a script say it with options; --help has them.',
  });
