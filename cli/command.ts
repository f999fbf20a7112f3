import { createRegistry, isMessage, toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { file_aats_project_v1_project } from '../proto/aats/project/v1/project_pb';
import { connect, type Connection } from './connection';
import type { Failing } from './failure-report';
import { loadSettings, type Settings } from './settings';
import { createTerminal, isPlain, type Terminal } from './terminal';

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
export type Runner = (
  command: Command,
  failing?: Failing,
) => (work: (context: CommandContext) => Promise<void>) => Promise<void>;

export interface GlobalOptions {
  readonly json?: boolean;
  readonly plain?: boolean;
}

export function contextOf(command: Command, interrupted: AbortSignal, env: NodeJS.ProcessEnv): CommandContext {
  const { json = false, plain } = command.optsWithGlobals<GlobalOptions>();
  const { stdout, stderr } = process;
  return {
    terminal: createTerminal({ stdout, stderr, plain: isPlain(env, plain), dumb: env['TERM'] === 'dumb', quiet: json }),
    settings: loadSettings(env),
    json,
    interrupted,
    print: (value) => void stdout.write(`${JSON.stringify(asJson(value))}\n`),
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
  context.terminal.doing('waiting for the answer');
  const connection = await connect(context.settings);
  try {
    return await work(connection);
  } finally {
    context.terminal.doing();
    connection.close();
  }
}

/** Examples at the end of a command's help. */
export const examples = (...lines: readonly string[]): string =>
  `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
