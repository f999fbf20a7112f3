import { readFileSync } from 'node:fs';
import { emitKeypressEvents } from 'node:readline';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { PlanSummary, Problem } from '../proto/aats/project/v1/project_pb';
import { putFile } from './artifact-commands';
import { connected, type CommandContext, type Runner } from './command';
import type { Connection } from './connection';
import { CommandFailed, exitCodes } from './exit-codes';
import { drawPlan, glyphOf } from './plan-drawing';
import { cut, pad, safe } from './terminal';
import { applyEvent, changeLine, createLiveScreen, type Watched } from './watch';

export function addPlanCommands(program: Command, run: Runner): void {
  const plan = program.command('plan').description('plans: validate, start, see, steer');

  plan
    .command('validate <file>')
    .description('list every problem of a plan; starts nothing')
    .option('-i, --input <name=value...>', 'check these inputs too')
    .action((file: string, options: { readonly input?: readonly string[] }, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ plans }) => {
          const answer = await plans.validatePlan({
            plan: { source: { case: 'document', value: readText(file) } },
            ...(options.input && { inputs: literalInputs(options.input) }),
          });
          if (context.json) context.print(answer);
          else {
            printProblems(context, basename(file), answer.problems);
            if (answer.valid) {
              const { terminal } = context;
              terminal.line(
                `${terminal.paint('green', '✓')} ${safe(answer.name)} can start: ${answer.taskCount} tasks in ${answer.layers.length} layers`,
              );
              terminal.line(`  longest way  ${answer.criticalPath.map(safe).join(' → ')}`);
              for (const gate of answer.gates)
                terminal.line(
                  `  ${terminal.paint('yellow', '◆')} ${gate.taskId} needs a person ${gate.at} it: ${gate.by.join(', ')}`,
                );
            }
          }
          if (!answer.valid)
            throw new CommandFailed({
              exitCode: exitCodes.wrongInput,
              title: `${basename(file)} cannot start: ${answer.problems.filter(({ severity }) => severity === 'error').length} problems.`,
              lines: [],
            });
        }),
      ),
    );

  plan
    .command('start <file>')
    .description('start a plan; the same id again is the same plan')
    .requiredOption('--id <plan-id>', 'its id: lower-case letters, digits, hyphens')
    .option('-i, --input <name=value...>', 'an input: JSON or text; @path stores a file as an artifact')
    .option('--watch', 'watch it to its end')
    .action(
      (
        file: string,
        options: { readonly id: string; readonly input?: readonly string[]; readonly watch?: boolean },
        command: Command,
      ) =>
        run(command)((context) =>
          connected(context, async (connection) => {
            const inputs = await resolveInputs(connection, options.input ?? []);
            const answer = await connection.plans.startPlan({
              planId: options.id,
              plan: { source: { case: 'document', value: readText(file) } },
              inputs,
            });
            if (context.json) context.print(answer);
            else {
              printProblems(context, basename(file), answer.warnings);
              context.terminal.line(
                `${context.terminal.paint('green', '✓')} ${options.id} ${answer.created ? 'is started' : 'was started before, with the same content'}`,
              );
              if (!options.watch) context.terminal.line(`  Watch it: aats plan watch ${options.id}`);
            }
            if (options.watch) await watchPlan(context, connection, options.id);
          }),
        ),
    );

  plan
    .command('get <plan-id>')
    .description('a plan and its tasks as they are now')
    .option('--task <task-id>', 'one task with arguments, output and attempts')
    .action((planId: string, options: { readonly task?: string }, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ plans }) => {
          if (options.task !== undefined) {
            const answer = await plans.getTask({ planId, taskId: options.task });
            if (context.json) context.print(answer);
            else {
              const { terminal } = context;
              if (answer.task) terminal.line(`${changeLine(terminal, answer.task)}\n`);
              for (const [name, value] of [
                ['arguments', answer.arguments],
                ['output', answer.output && toJson(ValueSchema, answer.output)],
              ] as const)
                if (value !== undefined)
                  terminal.line(`${name}\n${JSON.stringify(value, null, 2).replace(/^/gm, '  ')}`);
              for (const attempt of answer.attempts)
                terminal.line(
                  `  try ${attempt.attempt}  ${attempt.state}${attempt.agent ? ` by ${safe(attempt.agent)}` : ''}${attempt.failure ? `  ${attempt.failure.type}: ${safe(attempt.failure.message)}` : ''}`,
                );
            }
            return;
          }
          const answer = await plans.getPlan({ planId });
          if (context.json) context.print(answer);
          else if (answer.plan) {
            for (const line of drawPlan(context.terminal, {
              plan: answer.plan,
              tasks: answer.tasks,
              progress: new Map(),
              live: false,
              now: Date.now(),
              onlyLooks: false,
            }))
              context.terminal.line(line);
            printResult(context, answer.plan);
          }
        }),
      ),
    );

  plan
    .command('list')
    .description('plans, newest first')
    .option('--state <state...>', 'only these states')
    .option('--owner <name>', 'only this owner')
    .option('--name <plan>', 'only this plan')
    .option('--waiting', 'only plans that wait for a person')
    .option('--limit <n>', 'at most so many', '50')
    .action(
      (
        options: {
          readonly state?: string[];
          readonly owner?: string;
          readonly name?: string;
          readonly waiting?: boolean;
          readonly limit: string;
        },
        command: Command,
      ) =>
        run(command)((context) =>
          connected(context, async ({ plans }) => {
            const limit = Number(options.limit);
            let left = limit;
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
              for (const one of page.plans) printSummary(context, one);
              left -= page.plans.length;
              pageToken = page.nextPageToken;
            } while (pageToken !== '' && left > 0);
            if (left === limit && !context.json)
              context.terminal.line('No plan matches. Start one: aats plan start FILE --id ID');
          }),
        ),
    );

  plan
    .command('watch <plan-id>')
    .description('the live plan; ends with it (exit 7 when it failed)')
    .action((planId: string, _options: object, command: Command) =>
      run(command)((context) => connected(context, (connection) => watchPlan(context, connection, planId))),
    );

  const steer = [
    [
      'pause',
      'nothing new starts, running tasks finish',
      (c: Connection, planId: string, reason: string) => c.plans.pausePlan({ planId, reason }),
    ],
    [
      'resume',
      'go on after a pause',
      (c: Connection, planId: string, reason: string) => c.plans.resumePlan({ planId, reason }),
    ],
    [
      'cancel',
      'tell the agents to stop, then undo what can be undone',
      (c: Connection, planId: string, reason: string) => c.plans.cancelPlan({ planId, reason }),
    ],
  ] as const;
  for (const [name, description, call] of steer) {
    plan
      .command(`${name} <plan-id>`)
      .description(description)
      .option('--reason <text>', 'kept with the plan', '')
      .action((planId: string, options: { readonly reason: string }, command: Command) =>
        run(command)((context) =>
          connected(context, async (connection) => {
            const answer = await call(connection, planId, options.reason);
            if (answer.plan) printSummary(context, answer.plan);
          }),
        ),
      );
  }
  plan
    .command('retry <plan-id> <task-id>')
    .description('run a task again, and what depends on it')
    .option('--reason <text>', 'kept with the plan', '')
    .action((planId: string, taskId: string, options: { readonly reason: string }, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ plans }) => {
          const answer = await plans.retryTask({ planId, taskId, reason: options.reason });
          if (answer.plan) printSummary(context, answer.plan);
        }),
      ),
    );
}

async function watchPlan(context: CommandContext, { plans }: Connection, planId: string): Promise<void> {
  const watched: Watched = { tasks: new Map(), progress: new Map() };
  const leave = new AbortController();
  const signal = AbortSignal.any([context.interrupted, leave.signal]);
  const screen =
    context.terminal.isTerminal && !context.json ? createLiveScreen(context.terminal, process.stdout) : undefined;
  const draw = (): void => screen?.redraw(watched, true);
  const ticker = screen && setInterval(draw, 1000);
  const keys =
    screen &&
    listenToKeys((key) => {
      if (key === 'q' || key === '\u0003') leave.abort();
      if (key === 'f') screen.toggleLooks();
      if (key === 'p') {
        const command =
          watched.plan?.state === 'paused'
            ? plans.resumePlan({ planId, reason: '' })
            : plans.pausePlan({ planId, reason: '' });
        command.catch(() => undefined); // the plan itself shows whether it paused
      }
      draw();
    });
  try {
    for await (const event of plans.watchPlan({ planId }, { signal })) {
      const changed = applyEvent(watched, event);
      if (context.json) context.print(event.event.value);
      else if (screen) draw();
      else for (const task of changed) context.terminal.line(changeLine(context.terminal, task));
      if (watched.plan && ['succeeded', 'failed', 'cancelled'].includes(watched.plan.state)) break;
    }
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  } finally {
    clearInterval(ticker);
    keys?.();
  }
  if (leave.signal.aborted || !watched.plan) return;
  if (!context.json) printResult(context, watched.plan);
  if (watched.plan.state !== 'succeeded') {
    const { failure, state } = watched.plan;
    throw new CommandFailed({
      exitCode: exitCodes.planFailed,
      title: `${planId} ${state === 'cancelled' ? 'was cancelled' : 'failed'}.`,
      lines: failure ? [`${failure.type}: ${failure.message}`] : [],
    });
  }
}

function listenToKeys(pressed: (key: string) => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  const listener = (sequence: string | undefined): void => {
    pressed(sequence ?? '');
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

function printSummary(context: CommandContext, plan: PlanSummary): void {
  if (context.json) {
    context.print(plan);
    return;
  }
  const { terminal } = context;
  const { sign, colour } = glyphOf(plan.state);
  const waits =
    plan.waitingFor.length > 0
      ? terminal.paint('yellow', `  ◆ waits for ${plan.waitingFor.flatMap(({ by }) => by).join(', ')}`)
      : '';
  const done = plan.counts['succeeded'] ?? 0;
  terminal.line(
    `${pad(safe(plan.planId), 28)} ${terminal.paint(colour, sign)} ${pad(plan.state, 11)} ${pad(`${done} of ${plan.taskCount}`, 14)} ${cut(safe(plan.title), 40)}${waits}`,
  );
}

function printResult(context: CommandContext, plan: PlanSummary): void {
  if (plan.result !== undefined)
    context.terminal.line(`\nresult ${JSON.stringify(toJson(ValueSchema, plan.result), null, 2)}`);
  if (plan.resultProblem !== undefined) context.terminal.line(`\nno result: ${safe(plan.resultProblem)}`);
}

function printProblems(context: CommandContext, file: string, problems: readonly Problem[]): void {
  const { terminal } = context;
  for (const { severity, line, code, message } of problems)
    terminal.error(
      `${severity === 'error' ? terminal.paint('red', '■') : terminal.paint('yellow', '!')} ${file}${line > 0 ? `:${line}` : ''}  ${safe(message)} ${terminal.paint('dim', code)}`,
    );
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: `I cannot read ${file}.`,
      lines: [error instanceof Error ? error.message : String(error)],
    });
  }
}

const split = (entry: string): readonly [string, string] => {
  const at = entry.indexOf('=');
  if (at < 1)
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: `“${entry}” is not an input.`,
      lines: [],
      hint: 'Write name=value; value is JSON, or text.',
    });
  return [entry.slice(0, at), entry.slice(at + 1)];
};
const literal = (text: string): JsonObject[string] => {
  try {
    return JSON.parse(text) as JsonObject[string];
  } catch {
    return text;
  }
};
const literalInputs = (entries: readonly string[]): JsonObject =>
  Object.fromEntries(
    entries
      .map(split)
      .filter(([, value]) => !value.startsWith('@'))
      .map(([name, value]) => [name, literal(value)]),
  );

async function resolveInputs(connection: Connection, entries: readonly string[]): Promise<JsonObject> {
  const inputs: JsonObject = {};
  for (const entry of entries) {
    const [name, value] = split(entry);
    inputs[name] = value.startsWith('@') ? await putFile(connection, value.slice(1)) : literal(value);
  }
  return inputs;
}
