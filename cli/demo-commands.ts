import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { currentCode, demoPeopleFile, readDemoPeople } from '../stack/demo-codes';
import { examples, type Runner } from './command';
import { CommandFailed, exitCodes } from './exit-codes';
import { pad } from './terminal';

export function addDemoCommands(program: Command, run: Runner): void {
  const demo = program.command('demo').description('the people that “npm start” made up on this machine');
  demo
    .command('codes')
    .description('their passwords, and the codes that count now')
    .addHelpText('after', examples('aats demo codes', 'aats demo codes --json'))
    .action((_options: object, command: Command) =>
      run(command)(({ terminal, settings: { dataDir }, json, print }) => {
        if (dataDir === undefined || !existsSync(demoPeopleFile(dataDir)))
          throw new CommandFailed({
            exitCode: exitCodes.notFound,
            title: 'there are no such people here',
            lines: [],
            hint: '“npm start” makes them up; AATS_DATA_DIR names another data folder.',
          });
        const people = readDemoPeople(dataDir).map((person) => ({ person, ...currentCode(person) }));
        const widest = Math.max(...people.map(({ person }) => person.password.length));
        if (!json) terminal.line(terminal.paint('dim', `${pad('Person', 10)}${pad('Password', widest + 2)}Code now`));
        for (const { person, code, secondsLeft } of people)
          if (json) print({ name: person.name, password: person.password, code, secondsLeft });
          else
            terminal.line(
              `${pad(person.name, 10)}${pad(person.password, widest + 2)}${terminal.paint('bold', `${code.slice(0, 3)} ${code.slice(3)}`)}`,
            );
        if (!json) terminal.line(terminal.paint('dim', `The codes change in ${people[0]?.secondsLeft ?? 0} s.`));
        return Promise.resolve();
      }),
    );
}
