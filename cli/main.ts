#!/usr/bin/env node
import { Argument, Command, CommanderError } from 'commander';
import { addAgentCommands } from './agent-commands';
import { addApprovalCommands } from './approval-commands';
import { addArtifactCommands } from './artifact-commands';
import { contextOf, report, type GlobalOptions, type Runner } from './command';
import { completionScript } from './completion';
import { exitCodes } from './exit-codes';
import { addPlanCommands } from './plan-commands';
import { ask, askSecret } from './prompt';
import { signIn, signOut } from './session';

const interruption = new AbortController();
process.on('SIGINT', () => {
  // The first Ctrl-C ends the call in order, a second one at once.
  if (interruption.signal.aborted) process.exit(exitCodes.interrupted);
  interruption.abort();
});
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok); // the reader of the pipe has seen enough
});

const run: Runner = (command) => async (work) => {
  const { json = false, plain = false } = command.optsWithGlobals<GlobalOptions>();
  try {
    await work(contextOf(command, interruption.signal, process.env));
  } catch (error) {
    process.exitCode = interruption.signal.aborted
      ? exitCodes.interrupted
      : report(error, json, plain || process.env['NO_COLOR'] !== undefined);
  }
};

const program = new Command('aats')
  .description('Plans, approvals and agents of AATS')
  .option('--json', 'one JSON object a line on standard output, and nothing else there')
  .option('--plain', 'no colour')
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    `
Exit codes: 0 done · 1 unexpected · 2 wrong input · 3 not signed in or not allowed · 4 not found · 5 conflicts with
its state · 6 the answer did not count · 7 the plan failed · 8 unavailable · 130 interrupted`,
  );

program
  .command('login [name]')
  .description('sign in with password and code; keeps the session in a file of yours only')
  .option('--password-stdin', 'read the password from standard input')
  .option('--code <code>', 'the code of the second factor')
  .action(
    (
      name: string | undefined,
      options: { readonly passwordStdin?: boolean; readonly code?: string },
      command: Command,
    ) =>
      run(command)(async ({ settings, terminal, json, print }) => {
        const who = name ?? (await ask('Name: '));
        const password = await (options.passwordStdin ? readAll(process.stdin) : askSecret('Password: '));
        const session = await signIn(settings, who, password, async () => options.code ?? (await ask('Code: ')));
        if (json) print({ name: session.name, expiresAt: new Date(session.expiresAt).toISOString() });
        else terminal.line(`${terminal.paint('green', '✓')} Signed in as ${session.name}`);
      }),
  );
program
  .command('logout')
  .description('end the session')
  .action((_options: object, command: Command) =>
    run(command)(async ({ settings, terminal, json, print }) => {
      await signOut(settings);
      if (json) print({ signedIn: false });
      else terminal.line('Signed out');
    }),
  );
addPlanCommands(program, run);
addApprovalCommands(program, run);
addAgentCommands(program, run);
addArtifactCommands(program, run);
program
  .command('completion')
  .description('print a completion script: source <(aats completion bash)')
  .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
  .action((shell: 'bash' | 'zsh' | 'fish') => void process.stdout.write(`${completionScript(program, shell)}\n`));

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text.replace(/\r?\n$/, '');
}

for (const command of program.commands) for (const one of [command, ...command.commands]) one.exitOverride();
program.parseAsync().catch((error: unknown) => {
  // commander has already said what was wrong; help and version end well.
  process.exitCode =
    error instanceof CommanderError
      ? error.exitCode === 0
        ? exitCodes.ok
        : exitCodes.wrongInput
      : report(error, false, true);
});
