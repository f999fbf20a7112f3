#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command, CommanderError } from 'commander';
import { packageRoot } from '../stack/package-root';
import { addAgentCommands } from './agent-commands';
import { addApprovalCommands } from './approval-commands';
import { addArtifactCommands } from './artifact-commands';
import { contextOf, examples, type GlobalOptions, type Runner } from './command';
import { completionScript, shells, type Shell } from './completion';
import { addDemoCommands } from './demo-commands';
import { CommandFailed, exitCodes } from './exit-codes';
import { report } from './failure-report';
import { addPlanCommands } from './plan-commands';
import { addSessionCommands } from './session-commands';
import { isPlain } from './terminal';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    // The first one ends the call in order, a second one, or a second later, at once.
    if (interruption.signal.aborted) process.exit(exitCodes.interrupted);
    interruption.abort();
    setTimeout(() => process.exit(exitCodes.interrupted), 1000).unref();
  });
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok); // the reader of the pipe has seen enough
});

const run: Runner =
  (command, failing = {}) =>
  async (work) => {
    const { json = false, plain } = command.optsWithGlobals<GlobalOptions>();
    try {
      await work(contextOf(command, interruption.signal, process.env));
    } catch (error) {
      process.exitCode = interruption.signal.aborted
        ? exitCodes.interrupted
        : report(error, { ...failing, json, plain: isPlain(process.env, plain) });
    }
  };

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { readonly version: string };
const program = new Command('aats')
  .description('Plans, approvals, agents and documents of AATS')
  .version(version)
  .option(
    '--json',
    'one JSON object a line on standard output and nothing else there; errors as JSON on standard error',
  )
  .option('--plain', 'no colour (as NO_COLOR does, or a pipe)')
  .addHelpText(
    'after',
    `${examples(
      'aats login mara',
      'aats plan start examples/plans/hello.plan.yaml --watch',
      'aats approval list --mine',
      'source <(aats completion bash)',
    )}

Where AATS is: on the machine of “npm start” nothing needs to be set (AATS_DATA_DIR for another data folder). Elsewhere:
  AATS_PROJECT_MANAGER_ADDRESS, AATS_DATABASE_CONTROLLER_ADDRESS   host:port of gRPC (50060, 50061)
  AATS_COORDINATOR_URL, AATS_HITL_URL                              https://host:port (8092, 8093)
  AATS_CA_FILE                                                     certificate of the authority that vouches for them

Exit codes: 0 done · 1 unexpected · 2 wrong input · 3 not signed in or not allowed · 4 not found · 5 conflicts with
its state · 6 the answer did not count · 7 the plan failed · 8 unavailable · 130 interrupted`,
  );

addSessionCommands(program, run);
addPlanCommands(program, run);
addApprovalCommands(program, run);
addAgentCommands(program, run);
addArtifactCommands(program, run);
addDemoCommands(program, run);
program
  .command('completion')
  .description('print a completion script for your shell')
  .addArgument(new Argument('<shell>').choices(shells))
  .addHelpText('after', examples('source <(aats completion bash)', 'aats completion fish | source'))
  .action((shell: Shell) => void process.stdout.write(`${completionScript(program, shell)}\n`));

const eachCommand = function* (command: Command): Generator<Command> {
  yield command;
  for (const one of command.commands) yield* eachCommand(one);
};
for (const command of eachCommand(program))
  command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined }); // said below, as every other error

program.parseAsync().catch((error: unknown) => {
  // Help and version have been printed and end well; help for want of a command does not.
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help'))
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.wrongInput;
  else
    process.exitCode = report(error instanceof CommanderError ? misspelt(error) : error, {
      json: process.argv.includes('--json'),
      plain: isPlain(process.env, process.argv.includes('--plain')),
    });
});

/** What commander says of a command line, in our words. */
function misspelt({ message }: CommanderError): CommandFailed {
  const [, what = '', suggestion] = /^(?:error: )?(.*?)(?:\n\((Did you mean .*)\))?$/s.exec(message) ?? [];
  return new CommandFailed({
    exitCode: exitCodes.wrongInput,
    title: what,
    lines: suggestion === undefined ? [] : [{ message: suggestion }],
    hint: `Every command and option: ${helpOf(process.argv.slice(2))}`,
  });
}
/** The help of the deepest command that was named rightly. */
function helpOf(words: readonly string[]): string {
  let command = program;
  const path = ['aats'];
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word);
    if (!next) continue;
    command = next;
    path.push(word);
  }
  return `${path.join(' ')} --help`;
}
