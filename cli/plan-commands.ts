import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { GetTaskResponse, PlanSummary, Problem, ValidatePlanResponse } from '../proto/aats/project/v1/project_pb';
import { planTransitions } from '../workflows/plan-state';
import { connected, examples, type CommandContext, type Runner } from './command';
import type { Connection } from './connection';
import { CommandFailed, exitCodes } from './exit-codes';
import { drawPlan, glyphOf } from './plan-drawing';
import { milliseconds } from '../services/runtime/plan-figures';
import { readInputs } from './plan-inputs';
import { unreadable } from './settings';
import { cut, duration, jsonLines, list, pad, plural, safe, things, whoWords } from './terminal';
import { changeLine, printResult, watchPlan } from './watch';

const planStates = Object.keys(planTransitions);

export function addPlanCommands(program: Command, run: Runner): void {
  const plan = program.command('plan').description('plans: validate, start, see, steer');

  plan
    .command('validate <file>')
    .description('list every problem of a plan, with its line; starts nothing')
    .option('-i, --input <name=value...>', 'check these inputs too')
    .addHelpText('after', examples('aats plan validate hello.plan.yaml', 'aats plan validate hello.plan.yaml --json'))
    .action((file: string, options: { readonly input?: readonly string[] }, command: Command) =>
      run(command, { notDone: 'Not checked' })((context) =>
        connected(context, async (connection) => {
          const answer = await connection.plans.validatePlan({
            plan: { source: { case: 'document', value: readText(file) } },
            ...(options.input && { inputs: await readInputs(context, connection, options.input, 'describe') }),
          });
          if (context.json) context.print(answer);
          else printValidation(context, basename(file), answer);
          // Every problem was listed: that was the work, and the exit code says how it went.
          if (!answer.valid) process.exitCode = exitCodes.wrongInput;
        }),
      ),
    );

  plan
    .command('start <file>')
    .description('start a plan; the same id with the same content again is the same plan')
    .option('--id <plan-id>', 'its id: lower-case letters, digits, hyphens; default the file’s name and a number')
    .option('-i, --input <name=value...>', 'an input: JSON or text; @path stores a file and gives its reference')
    .option('--watch', 'watch it to its end')
    .addHelpText(
      'after',
      examples(
        'aats plan start hello.plan.yaml --watch',
        'aats plan start review.plan.yaml --id review-42 -i project=@project.tar.gz -i testTimeoutSeconds=60',
      ),
    )
    .action(
      (
        file: string,
        options: { readonly id?: string; readonly input?: readonly string[]; readonly watch?: boolean },
        command: Command,
      ) =>
        run(command, { notDone: 'Not started', help: `Every problem: aats plan validate ${file}` })((context) =>
          connected(context, async (connection) => {
            const document = readText(file);
            const planId = options.id ?? idFor(file);
            const inputs = await readInputs(context, connection, options.input ?? [], 'store');
            const answer = await connection.plans
              .startPlan({ planId, plan: { source: { case: 'document', value: document } }, inputs })
              .catch((error: unknown) => {
                throw unanswered(error, planId);
              });
            if (context.json) context.print(answer);
            else {
              const { terminal } = context;
              printProblems(context, basename(file), answer.warnings);
              terminal.line(
                `${terminal.paint('green', '✓')} ${planId} ${answer.created ? 'is started' : 'was started before, with the same content'}`,
              );
              if (!options.watch) terminal.line(`  Watch it: aats plan watch ${planId}`);
            }
            if (options.watch) await watchPlan(context, connection, planId);
          }),
        ),
    );

  plan
    .command('get <plan-id>')
    .description('a plan and its tasks as they are now')
    .option('--task <task-id>', 'one task with arguments, output and tries')
    .addHelpText(
      'after',
      examples('aats plan get dep-review-0001', 'aats plan get dep-review-0001 --task apply --json'),
    )
    .action((planId: string, options: { readonly task?: string }, command: Command) =>
      run(command, { help: `Its tasks: aats plan get ${planId}` })((context) =>
        connected(context, async ({ plans }) => {
          if (options.task !== undefined) {
            const answer = await plans.getTask({ planId, taskId: options.task });
            if (context.json) context.print(answer);
            else printTask(context, answer);
            return;
          }
          const answer = await plans.getPlan({ planId });
          if (context.json) context.print(answer);
          else if (answer.plan) {
            const { plan: summary, tasks } = answer;
            const drawing = { plan: summary, tasks, progress: new Map<string, string>(), onlyLooks: false };
            for (const line of drawPlan(context.terminal, { ...drawing, isReading: true, now: Date.now() }))
              context.terminal.line(line);
            printResult(context, summary);
          }
        }),
      ),
    );

  plan
    .command('list')
    .description('plans, newest first')
    .addOption(new Option('--state <state...>', 'only these states').choices(planStates))
    .option('--owner <name>', 'only this owner')
    .option('--name <plan>', 'only this plan')
    .option('--waiting', 'only plans that wait for a person')
    .option('--limit <n>', 'at most so many', wholeNumber, 50)
    .addHelpText(
      'after',
      examples('aats plan list --waiting', 'aats plan list --state running paused --limit 10 --json'),
    )
    .action((options: ListOptions, command: Command) =>
      run(command)((context) => connected(context, (connection) => listPlans(context, connection, options))),
    );

  plan
    .command('watch <plan-id>')
    .description('the live plan; ends with it (exit 7 when it failed or was cancelled)')
    .addHelpText(
      'after',
      `${examples('aats plan watch dep-review-0001', 'aats plan watch dep-review-0001 --json | jq -c .change.tasks')}

Keys: q leave, o open the page, p pause or resume, f only what needs a look. Not on a terminal: one line a change.`,
    )
    .action((planId: string, _options: object, command: Command) =>
      run(command)((context) => connected(context, (connection) => watchPlan(context, connection, planId))),
    );

  const steer = [
    [
      'pause',
      'nothing new starts, running tasks finish',
      'Not paused',
      ({ plans }: Connection, planId: string, reason: string) => plans.pausePlan({ planId, reason }),
    ],
    [
      'resume',
      'go on after a pause',
      'Not resumed',
      ({ plans }: Connection, planId: string, reason: string) => plans.resumePlan({ planId, reason }),
    ],
    [
      'cancel',
      'tell the agents to stop, then undo what can be undone',
      'Not cancelled',
      ({ plans }: Connection, planId: string, reason: string) => plans.cancelPlan({ planId, reason }),
    ],
  ] as const;
  for (const [name, description, notDone, call] of steer) {
    plan
      .command(`${name} <plan-id>`)
      .description(description)
      .option('--reason <text>', 'kept with the plan', '')
      .addHelpText('after', examples(`aats plan ${name} dep-review-0001 --reason "…"`))
      .action((planId: string, options: { readonly reason: string }, command: Command) =>
        run(command, { notDone, help: `How it stands: aats plan get ${planId}` })((context) =>
          connected(context, async (connection) => {
            const { plan: summary } = await call(connection, planId, options.reason);
            if (summary) printSteered(context, summary);
          }),
        ),
      );
  }
  plan
    .command('retry <plan-id> <task-id>')
    .description('run a task again, and what depends on it')
    .option('--reason <text>', 'kept with the plan', '')
    .addHelpText('after', examples('aats plan retry dep-review-0001 verify'))
    .action((planId: string, taskId: string, options: { readonly reason: string }, command: Command) =>
      run(command, { notDone: 'Not run again', help: `Its tasks: aats plan get ${planId}` })((context) =>
        connected(context, async ({ plans }) => {
          const { plan: summary } = await plans.retryTask({ planId, taskId, reason: options.reason });
          if (summary) printSteered(context, summary);
        }),
      ),
    );
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return Number(text);
}

/** `hello.plan.yaml` becomes `hello-` and letters that no plan before it had. */
function idFor(file: string): string {
  const name = (basename(file).split('.')[0] ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return `${name.slice(0, 50) || 'plan'}-${Date.now().toString(36)}`;
}

/** Nobody knows whether a start without an answer counted; with its id it can be said again. */
function unanswered(error: unknown, planId: string): unknown {
  if (!(error instanceof Error && 'type' in error && error.type === 'WorkflowUnavailable')) return error;
  return new CommandFailed({
    exitCode: exitCodes.unavailable,
    title: 'the service did not answer',
    lines: [{ message: error.message }],
    hint: `It may have started all the same. Say it again with --id ${planId}: it starts once.`,
  });
}

interface ListOptions {
  readonly state?: string[];
  readonly owner?: string;
  readonly name?: string;
  readonly waiting?: boolean;
  readonly limit: number;
}
async function listPlans(context: CommandContext, { plans }: Connection, options: ListOptions): Promise<void> {
  const { terminal } = context;
  let left = options.limit;
  let pageToken = '';
  do {
    const page = await plans.listPlans({
      states: options.state ?? [],
      owner: options.owner ?? '',
      name: options.name ?? '',
      waitingForPerson: options.waiting === true,
      pageSize: Math.min(left, 200),
      pageToken,
    });
    if (context.json) for (const one of page.plans) context.print(one);
    else printListed(context, page.plans, left === options.limit);
    left -= page.plans.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && left > 0);
  if (left === options.limit && !context.json) terminal.line('No plan matches. Start one: aats plan start FILE');
  if (pageToken !== '' && !context.json)
    terminal.line(terminal.paint('dim', `There are more; --limit ${options.limit * 2} shows them.`));
}

function printListed({ terminal }: CommandContext, plans: readonly PlanSummary[], isFirst: boolean): void {
  const { paint, columns } = terminal;
  const ids = Math.max(16, ...plans.map(({ planId }) => planId.length + 2));
  if (isFirst && plans.length > 0)
    terminal.line(paint('dim', `${pad('PLAN', ids)}${pad('STATE', 14)}${pad('STARTED', 14)}TITLE`));
  for (const one of plans) {
    const waits = one.waitingFor.length > 0;
    const { sign, colour } = waits && one.state === 'running' ? glyphOf('waiting') : glyphOf(one.state);
    const age = Date.now() - (milliseconds(one.startedAt) ?? Date.now());
    terminal.line(
      `${pad(safe(one.planId), ids)}${pad(`${paint(colour, sign)} ${one.state}`, 14)}${pad(`${duration(age)} ago`, 14)}${cut(safe(one.title), Math.max(16, columns - ids - 28))}`,
    );
    const who = [...new Set(one.waitingFor.flatMap(({ by }) => by.map(whoWords)))];
    if (waits)
      terminal.line(`${' '.repeat(ids)}${paint('yellow', cut(`waits for ${list(who, 'or')}`, columns - ids))}`);
  }
}

function printSteered(context: CommandContext, plan: PlanSummary): void {
  if (context.json) {
    context.print(plan);
    return;
  }
  const { terminal } = context;
  const { sign, colour } = glyphOf(plan.state);
  terminal.line(`${terminal.paint(colour, sign)} ${plan.planId} is ${plan.state}`);
  terminal.line(`  Watch it: aats plan watch ${plan.planId}`);
}

function printTask({ terminal }: CommandContext, { task, arguments: given, output, attempts }: GetTaskResponse): void {
  if (task) terminal.line(`${changeLine(terminal, task)}\n`);
  const parts = [
    ['arguments', given],
    ['output', output && toJson(ValueSchema, output)],
  ] as const;
  for (const [name, value] of parts)
    if (value !== undefined) terminal.line([name, ...jsonLines(value, '  ')].join('\n'));
  for (const { attempt, state, agent, failure } of attempts)
    terminal.line(
      `  try ${attempt}  ${state}${agent ? ` by ${safe(agent)}` : ''}${failure ? `  ${failure.type}: ${safe(failure.message)}` : ''}`,
    );
}

function printValidation(context: CommandContext, file: string, answer: ValidatePlanResponse): void {
  const { terminal } = context;
  printProblems(context, file, answer.problems);
  if (!answer.valid) {
    const errors = answer.problems.filter(({ severity }) => severity === 'error').length;
    const title = `${safe(file)} cannot start: ${things(errors)} wrong.`;
    terminal.error(
      `${terminal.paint('red', `■ ${title}`)}\n  ${terminal.paint('dim', `exit ${exitCodes.wrongInput}`)}`,
    );
    return;
  }
  const { taskCount, layers, criticalPath, gates } = answer;
  terminal.line(
    `${terminal.paint('green', '✓')} ${safe(answer.name)} can start: ${plural(taskCount, 'task')} in ${plural(layers.length, 'layer')}`,
  );
  terminal.line(`  longest way  ${criticalPath.map(safe).join(' → ')}`);
  for (const { taskId, at, by } of gates)
    terminal.line(
      `  ${terminal.paint('yellow', '◆')} ${safe(taskId)} needs a person ${at} it: ${list(by.map(whoWords), 'or')}`,
    );
}

function printProblems({ terminal }: CommandContext, file: string, problems: readonly Problem[]): void {
  for (const { severity, line, pointer, code, message } of problems) {
    const where = line > 0 ? `${safe(file)}:${line}` : safe(pointer);
    const sign = severity === 'error' ? terminal.paint('red', '■') : terminal.paint('yellow', '!');
    terminal.error(`${sign} ${where}  ${safe(message)} ${terminal.paint('dim', code)}`);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable('the plan', file, error);
  }
}
