import { randomUUID } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { ApprovalSummary, GetApprovalResponse } from '../proto/aats/project/v1/project_pb';
import { foundBefore, printApproval, valueAt } from './approval-view';
import { connected, examples, type CommandContext, type Runner } from './command';
import { CommandFailed, exitCodes } from './exit-codes';
import { milliseconds } from '../services/runtime/plan-figures';
import { ask } from './prompt';
import { cut, duration, pad, safe } from './terminal';

const someId = 'dep-review-0001/apply/1';

export function addApprovalCommands(program: Command, run: Runner): void {
  const approval = program.command('approval').description('requests to people, and their answers');

  approval
    .command('list')
    .description('the inbox: open requests first')
    .option('--mine', 'only those that wait for you')
    .option('--done', 'those that were answered')
    .option('--plan <plan-id>', 'only of this plan')
    .addHelpText('after', examples('aats approval list --mine', 'aats approval list --mine --json | head -1'))
    .action((options: { readonly mine?: boolean; readonly done?: boolean; readonly plan?: string }, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ approvals }) => {
          let pageToken = '';
          let shown = 0;
          do {
            const page = await approvals.listApprovals({
              view: options.done ? 'done' : options.mine ? 'mine' : 'open',
              planId: options.plan ?? '',
              pageSize: 100,
              pageToken,
            });
            printPage(context, page.approvals, shown === 0);
            shown += page.approvals.length;
            pageToken = page.nextPageToken;
          } while (pageToken !== '');
          if (shown === 0 && !context.json)
            context.terminal.line(options.done ? 'Nothing was answered yet.' : 'Nothing waits.');
        }),
      ),
    );

  approval
    .command('show <approval-id>')
    .description('what will happen, with which arguments, and who may answer')
    .option('--all', 'every line of long lists')
    .addHelpText('after', examples(`aats approval show ${someId}`, `aats approval show ${someId} --all`))
    .action((approvalId: string, options: { readonly all?: boolean }, command: Command) =>
      run(command)((context) =>
        connected(context, async (connection) => {
          const answer = await connection.approvals.getApproval({ approvalId });
          if (context.json) context.print(answer);
          else printApproval(context, answer, await foundBefore(connection, answer), options.all === true);
        }),
      ),
    );

  approval
    .command('decide <approval-id>')
    .description('answer a request; says whether the answer counted (exit 6 when not)')
    .option('--approve', 'let it happen')
    .option('--reject', 'do not let it happen; needs --reason')
    .option('--reason <text>', 'kept with the answer', '')
    .option('--edit', 'change what may be changed in $EDITOR, then approve')
    .option('--set <path=json...>', 'change one argument: JSON Pointer and JSON value, then approve')
    .option('--digest <digest>', 'of the request that you saw; another one is not answered')
    .option('-y, --yes', 'do not ask again; needed where nobody can be asked')
    .addHelpText(
      'after',
      examples(
        `aats approval decide ${someId} --approve`,
        `aats approval decide ${someId} --edit`,
        `aats approval decide ${someId} --set '/upgrades=[{"name":"zod","to":"4.1.12"}]' --yes`,
        `aats approval decide ${someId} --reject --reason "not before the release"`,
      ),
    )
    .action((approvalId: string, options: DecideOptions, command: Command) =>
      run(command, { notDone: 'Not counted', help: `See it: aats approval show ${approvalId}` })((context) =>
        connected(context, async ({ approvals }) => {
          const choice = choiceOf(options);
          const request = await approvals.getApproval({ approvalId });
          const edits = [...(options.edit ? editInEditor(context, request) : []), ...(options.set ?? []).map(toEdit)];
          if (options.yes !== true) await confirm(context, request, choice, edits);
          const { outcome } = await approvals.decide({
            approvalId,
            decision: {
              decisionId: randomUUID(),
              choice,
              edits: edits.map(({ path, value }) => ({ path, value: fromJson(ValueSchema, value) })),
              reason: options.reason,
              digest: options.digest ?? request.digest,
            },
          });
          if (context.json) context.print(outcome);
          else {
            const { terminal } = context;
            const end = choice === 'approve' ? 'the plan goes on' : 'the task is not done';
            terminal.line(`${terminal.paint('green', '✓')} Your answer counted, ${outcome?.status ?? choice}: ${end}.`);
            terminal.line(`  Watch it: aats plan watch ${request.approval?.planId ?? ''}`);
          }
        }),
      ),
    );
}

interface DecideOptions {
  readonly approve?: boolean;
  readonly reject?: boolean;
  readonly reason: string;
  readonly edit?: boolean;
  readonly set?: readonly string[];
  readonly digest?: string;
  readonly yes?: boolean;
}
const wrong = (title: string, hint?: string): CommandFailed =>
  new CommandFailed({ exitCode: exitCodes.wrongInput, title, lines: [], ...(hint !== undefined && { hint }) });

function choiceOf({ approve, reject, reason, edit, set }: DecideOptions): 'approve' | 'reject' {
  const approves = approve === true || edit === true || set !== undefined;
  if (approves === (reject === true)) throw wrong('say --approve or --reject, one of them');
  if (reject && reason === '') throw wrong('rejecting needs a reason', 'Give it: --reason "…"');
  return approves ? 'approve' : 'reject';
}

/** Shows what is about to be said and waits for a yes. Rejects when it is not one, or nobody can be asked. */
async function confirm(
  { terminal, interrupted }: CommandContext,
  { approval, digest }: GetApprovalResponse,
  choice: string,
  edits: readonly Edit[],
): Promise<void> {
  terminal.doing();
  const isAnybodyThere = process.stdin.isTTY && process.stderr.isTTY;
  if (!isAnybodyThere) throw wrong('nobody is at the terminal to confirm it', 'In a script add --yes');
  const short = `(digest ${digest.slice(7, 11)}…${digest.slice(-2)})`;
  terminal.error(`  You ${choice}: ${safe(approval?.title ?? '')} ${terminal.paint('dim', short)}`);
  for (const { path, value } of edits)
    terminal.error(`  ${safe(path)} becomes ${cut(safe(JSON.stringify(value)), terminal.columns - 12 - path.length)}`);
  if (!/^y(es)?$/i.test(await ask('  Go on? [y/N] ', interrupted)))
    throw new CommandFailed({ exitCode: exitCodes.interrupted, title: 'you said no', lines: [] });
  terminal.doing('waiting for the answer');
}

interface Edit {
  readonly path: string;
  readonly value: JsonValue;
}
function toEdit(entry: string): Edit {
  const at = entry.indexOf('=');
  const help = `Write /path=json, a text in quotation marks: --set '/text="hello"'`;
  if (!entry.startsWith('/') || at < 0) throw wrong(`“${entry}” is not a change`, help);
  try {
    return { path: entry.slice(0, at), value: JSON.parse(entry.slice(at + 1)) as JsonValue };
  } catch {
    throw wrong(`the value of “${entry}” is not JSON`, help);
  }
}

function editInEditor({ terminal, settings: { editor } }: CommandContext, request: GetApprovalResponse): Edit[] {
  if (request.editable.length === 0) throw wrong('nothing may be changed here');
  terminal.doing();
  const before = Object.fromEntries(request.editable.map(({ path }) => [path, valueAt(request.subject ?? {}, path)]));
  const folder = mkdtempSync(join(tmpdir(), 'aats-'));
  try {
    const file = join(folder, 'arguments.json');
    writeFileSync(file, `${JSON.stringify(before, null, 2)}\n`, { mode: 0o600 });
    // The variable may carry options (“code --wait”), as every program that reads it allows.
    const [program = 'vi', ...rest] = editor.split(' ');
    const { status, error } = spawnSync(program, [...rest, file], { stdio: 'inherit' });
    if (error) throw wrong(`the editor “${program}” cannot be run`, 'Set EDITOR, or use --set');
    if (status !== 0) throw wrong(`the editor ended with ${status ?? 'a signal'}`);
    const edits = Object.entries(parse(readFileSync(file, 'utf8')))
      .filter(([path, value]) => JSON.stringify(value) !== JSON.stringify(before[path]))
      .map(([path, value]) => ({ path, value }));
    if (edits.length === 0) throw wrong('you changed nothing', 'Without a change: --approve');
    return edits;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
function parse(text: string): Record<string, JsonValue> {
  try {
    return JSON.parse(text) as Record<string, JsonValue>;
  } catch (error) {
    throw wrong(`what you wrote is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

function printPage(
  { json, print, terminal }: CommandContext,
  approvals: readonly ApprovalSummary[],
  isFirst: boolean,
): void {
  if (json) {
    for (const one of approvals) print(one);
    return;
  }
  const { paint, columns, line } = terminal;
  const ids = Math.max(20, ...approvals.map(({ approvalId }) => approvalId.length + 2));
  if (isFirst && approvals.length > 0) line(paint('dim', `  ${pad('REQUEST', ids)}${pad('', 17)}TITLE`));
  for (const one of approvals) {
    const isOpen = one.status === 'open';
    const sign = isOpen
      ? paint('yellow', one.waitingForYou ? '◆' : '◇')
      : paint('dim', one.status === 'approved' ? '✓' : '■');
    const when = isOpen ? `${duration((milliseconds(one.expiresAt) ?? 0) - Date.now())} left` : one.status;
    line(
      `${sign} ${pad(safe(one.approvalId), ids)}${pad(when, 17)}${cut(safe(one.title), Math.max(16, columns - ids - 19))}`,
    );
  }
}
