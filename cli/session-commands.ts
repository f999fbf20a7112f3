import type { Command } from 'commander';
import { examples, type CommandContext, type Runner } from './command';
import { CommandFailed, exitCodes } from './exit-codes';
import { ask, askSecret } from './prompt';
import { beginSignIn, completeSignIn, type Session, signOut } from './session';

interface LoginOptions {
  readonly passwordStdin?: boolean;
  readonly code?: string;
}

export function addSessionCommands(program: Command, run: Runner): void {
  program
    .command('login [name]')
    .description('sign in with password and code; keeps the session in a file of yours only')
    .option('--password-stdin', 'read the password from standard input')
    .option('--code <code>', 'the code of the second factor')
    .addHelpText('after', examples('aats login mara', 'pass aats | aats login mara --password-stdin --code 418203'))
    .action((name: string | undefined, options: LoginOptions, command: Command) =>
      run(command, { notDone: 'Not signed in' })(async (context) => {
        const { settings, terminal, json, print, interrupted } = context;
        const who = name ?? (await ask('Name: ', interrupted));
        const password = await (options.passwordStdin ? readAll(process.stdin) : askSecret('Password: ', interrupted));
        if (password === '')
          throw new CommandFailed({ exitCode: exitCodes.wrongInput, title: 'the password is empty', lines: [] });
        terminal.doing(`signing in at ${settings.signIn}`);
        const challenge = await beginSignIn(settings, who, password);
        const session = await secondFactor(context, who, challenge, options.code);
        terminal.doing();
        if (json) print({ name: session.name, expiresAt: new Date(session.expiresAt).toISOString() });
        else terminal.line(`${terminal.paint('green', '✓')} Signed in as ${session.name}`);
      }),
    );
  program
    .command('logout')
    .description('end the session, here and at the server')
    .addHelpText('after', examples('aats logout'))
    .action((_options: object, command: Command) =>
      run(command, { notDone: 'Signed out here, but not at the server' })(
        async ({ settings, terminal, json, print }) => {
          await signOut(settings);
          if (json) print({ signedIn: false });
          else terminal.line('Signed out');
        },
      ),
    );
}

const codeTries = 3;

/** A code that was mistyped, or changed meanwhile, may be typed again by a person. */
async function secondFactor(
  { settings, terminal, interrupted }: CommandContext,
  name: string,
  challenge: string,
  given: string | undefined,
): Promise<Session> {
  for (let left = codeTries; ; left--) {
    terminal.doing();
    const code = given ?? (await ask('Code: ', interrupted));
    terminal.doing(`signing in at ${settings.signIn}`);
    try {
      // Codes are shown in two halves and typed so.
      return await completeSignIn(settings, name, challenge, code.replace(/\s/g, ''));
    } catch (error) {
      const isRefused = error instanceof CommandFailed && [2, 3].includes(error.failure.exitCode);
      if (given !== undefined || left === 1 || !isRefused) throw error;
      terminal.error(`${terminal.paint('yellow', '!')} ${error.failure.title}`);
    }
  }
}

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text.replace(/\r?\n$/, '');
}
