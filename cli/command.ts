import { createRegistry, isMessage, toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { file_aats_project_v1_project } from '../proto/aats/project/v1/project_pb';
import { isFailureType } from '../workflows/contracts/failures';
import { connect, type Connection } from './connection';
import { CommandFailed, exitCodeOf, exitCodes, type ExitCode } from './exit-codes';
import { loadSettings, type Settings } from './settings';
import { createTerminal, safe, type Terminal } from './terminal';

/** What every command is given. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly settings: Settings;
  readonly json: boolean;
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal;
  /** One JSON object a line on stdout, and nothing else there. */
  print(value: unknown): void;
}
/** Gives an action its context; errors and exit codes are handled in one place. */
export type Runner = (command: Command) => (work: (context: CommandContext) => Promise<void>) => Promise<void>;

export interface GlobalOptions {
  readonly json?: boolean;
  readonly plain?: boolean;
}

export function contextOf(command: Command, interrupted: AbortSignal, env: NodeJS.ProcessEnv): CommandContext {
  const options = command.optsWithGlobals<GlobalOptions>();
  const plain = options.plain === true || env['NO_COLOR'] !== undefined;
  return {
    terminal: createTerminal({ stdout: process.stdout, stderr: process.stderr, plain }),
    settings: loadSettings(env),
    json: options.json === true,
    interrupted,
    print: (value) => void process.stdout.write(`${JSON.stringify(asJson(value))}\n`),
  };
}
/** Messages as ProtoJSON, with every field; anything else as it is. */
const asJson = (value: unknown): unknown => {
  const schema = isMessage(value) ? messages.getMessage(value.$typeName) : undefined;
  return schema && isMessage(value) ? toJson(schema, value, { alwaysEmitImplicit: true }) : value;
};
const messages = createRegistry(file_aats_project_v1_project);

/** Runs with a connection that is closed in any case. */
export async function connected<T>(context: CommandContext, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await connect(context.settings);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

interface Failed {
  readonly type: string;
  readonly message: string;
  readonly details?: unknown;
}
const isFailed = (error: unknown): error is Failed =>
  typeof error === 'object' &&
  error !== null &&
  'type' in error &&
  typeof error.type === 'string' &&
  'message' in error &&
  typeof error.message === 'string';
interface ProblemLine {
  readonly message: string;
  readonly pointer?: string;
  readonly line?: number;
}
const isProblem = (value: unknown): value is ProblemLine =>
  typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string';

/** Says what was not done, each thing that is wrong, what helps, and the exit code; with `--json` as one object on stderr. */
export function report(error: unknown, json: boolean, plain: boolean): ExitCode {
  const terminal = createTerminal({ stdout: process.stdout, stderr: process.stderr, plain });
  const failure = toFailure(error);
  if (json) {
    terminal.error(JSON.stringify({ error: failure.title, lines: failure.lines, exitCode: failure.exitCode }));
    return failure.exitCode;
  }
  terminal.error(`${terminal.paint('red', '■')} ${safe(failure.title)}`);
  if (failure.lines.length > 0) terminal.error(['', ...failure.lines.map((line) => `  ${safe(line)}`), ''].join('\n'));
  if (failure.hint !== undefined) terminal.error(`  ${failure.hint}`);
  terminal.error(terminal.paint('dim', `  exit ${failure.exitCode}`));
  return failure.exitCode;
}

function toFailure(error: unknown): CommandFailed['failure'] {
  if (error instanceof CommandFailed) return error.failure;
  if (isFailed(error)) {
    const details = Array.isArray(error.details) ? error.details.flat().filter(isProblem) : [];
    return {
      exitCode: isFailureType(error.type) ? exitCodeOf[error.type] : exitCodes.unexpected,
      title: sentence(error.message),
      lines: details.map(({ line, pointer, message }) => `${line ? `line ${line}` : (pointer ?? '')}  ${message}`),
      ...(error.type === 'Unauthenticated' && { hint: 'Sign in with: aats login' }),
    };
  }
  return {
    exitCode: exitCodes.unexpected,
    title: error instanceof Error ? sentence(error.message) : 'Something went wrong.',
    lines: [],
  };
}
const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
