import { randomUUID } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { fromJson, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { ApprovalSummary, GetApprovalResponse } from '../proto/aats/project/v1/project_pb';
import { connected, type CommandContext, type Runner } from './command';
import { CommandFailed, exitCodes } from './exit-codes';
import { ask } from './prompt';
import { cut, duration, pad, safe } from './terminal';

export function addApprovalCommands(program: Command, run: Runner): void {
  const approval = program.command('approval').description('requests to people, and their answers');

  approval
    .command('list')
    .description('the inbox: open requests first')
    .option('--mine', 'only those that wait for you')
    .option('--done', 'those that were answered')
    .option('--plan <plan-id>', 'only of this plan')
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
            for (const one of page.approvals) printLine(context, one);
            shown += page.approvals.length;
            pageToken = page.nextPageToken;
          } while (pageToken !== '');
          if (shown === 0 && !context.json) context.terminal.line('Nothing waits.');
        }),
      ),
    );

  approval
    .command('show <approval-id>')
    .description('what will happen, with which arguments, and who may answer')
    .action((approvalId: string, _options: object, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ approvals }) => {
          const answer = await approvals.getApproval({ approvalId });
          if (context.json) context.print(answer);
          else printApproval(context, answer);
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
    .option('-y, --yes', 'do not ask again')
    .action((approvalId: string, options: DecideOptions, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ approvals }) => {
          const choice = choiceOf(options);
          const request = await approvals.getApproval({ approvalId });
          const edits = [
            ...(options.edit ? editInEditor(request, context.settings.editor) : []),
            ...(options.set ?? []).map(toEdit),
          ];
          if (!options.yes && !context.json && context.terminal.isTerminal) {
            const what = safe(request.approval?.title ?? approvalId);
            context.terminal.line(
              `  You ${choice}: ${what} (digest ${request.digest.slice(7, 11)}…${request.digest.slice(-2)})`,
            );
            for (const { path, value } of edits)
              context.terminal.line(`  ${path} becomes ${cut(JSON.stringify(value), 60)}`);
            if (!/^y(es)?$/i.test(await ask('  Go on? [y/N] ')))
              throw new CommandFailed({ exitCode: exitCodes.interrupted, title: 'Nothing was answered.', lines: [] });
          }
          const { outcome } = await approvals.decide({
            approvalId,
            decision: {
              decisionId: randomUUID(),
              choice,
              edits: edits.map(({ path, value }) => ({ path, value: fromJson(ValueSchema, value) })),
              reason: options.reason,
              digest: request.digest,
            },
          });
          if (context.json) context.print(outcome);
          else {
            context.terminal.line(
              `${context.terminal.paint('green', '✓')} Your answer counted: ${outcome?.status ?? choice}.`,
            );
            context.terminal.line(`  Watch it: aats plan watch ${approvalId.split('/')[0] ?? ''}`);
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
  readonly yes?: boolean;
}

function choiceOf(options: DecideOptions): 'approve' | 'reject' {
  const changes = options.edit === true || options.set !== undefined;
  const approves = options.approve === true || changes;
  if (approves === (options.reject === true))
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: 'Nothing was answered.',
      lines: ['Say --approve or --reject, one of them.'],
    });
  if (options.reject && options.reason === '')
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: 'Nothing was answered.',
      lines: ['Rejecting needs a reason: --reason "…"'],
    });
  return approves ? 'approve' : 'reject';
}

interface Edit {
  readonly path: string;
  readonly value: JsonValue;
}
function toEdit(entry: string): Edit {
  const at = entry.indexOf('=');
  try {
    if (!entry.startsWith('/') || at < 0) throw new Error('write /path=json');
    return { path: entry.slice(0, at), value: JSON.parse(entry.slice(at + 1)) as JsonValue };
  } catch (error) {
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: `“${entry}” is not a change.`,
      lines: [error instanceof Error ? error.message : String(error)],
    });
  }
}

function editInEditor(request: GetApprovalResponse, editor: string): Edit[] {
  if (request.editable.length === 0)
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: 'Nothing may be changed here.',
      lines: ['This request takes --approve or --reject only.'],
    });
  const before = Object.fromEntries(request.editable.map(({ path }) => [path, valueAt(request.subject ?? {}, path)]));
  const folder = mkdtempSync(join(tmpdir(), 'aats-'));
  try {
    const file = join(folder, 'arguments.json');
    writeFileSync(file, `${JSON.stringify(before, null, 2)}\n`, { mode: 0o600 });
    // The variable may carry options (“code --wait”), as every program that reads it allows.
    const [program = 'vi', ...rest] = editor.split(' ');
    const { status } = spawnSync(program, [...rest, file], { stdio: 'inherit' });
    if (status !== 0)
      throw new CommandFailed({
        exitCode: exitCodes.interrupted,
        title: 'Nothing was answered.',
        lines: ['The editor ended with an error.'],
      });
    const after = JSON.parse(readFileSync(file, 'utf8')) as Record<string, JsonValue>;
    return Object.entries(after)
      .filter(([path, value]) => JSON.stringify(value) !== JSON.stringify(before[path]))
      .map(([path, value]) => ({ path, value }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function valueAt(subject: JsonObject, pointer: string): JsonValue {
  let value: JsonValue = subject;
  for (const raw of pointer.split('/').slice(1)) {
    const part = raw.replace(/~1/g, '/').replace(/~0/g, '~');
    value =
      (Array.isArray(value)
        ? value[Number(part)]
        : typeof value === 'object' && value !== null
          ? value[part]
          : undefined) ?? null;
  }
  return value;
}

const millis = (time: { readonly seconds: bigint } | undefined): number => Number(time?.seconds ?? 0n) * 1000;

function printLine(context: CommandContext, one: ApprovalSummary): void {
  if (context.json) {
    context.print(one);
    return;
  }
  const { terminal } = context;
  const sign =
    one.status !== 'open'
      ? terminal.paint('dim', one.status === 'approved' ? '✓' : '■')
      : terminal.paint('yellow', one.waitingForYou ? '◆' : '◇');
  const when = one.status === 'open' ? `expires in ${duration(millis(one.expiresAt) - Date.now())}` : one.status;
  terminal.line(
    `${sign} ${pad(safe(one.approvalId), 34)} ${pad(cut(safe(one.title), 38), 38)} ${terminal.paint('dim', when)}`,
  );
}

function printApproval({ terminal }: CommandContext, answer: GetApprovalResponse): void {
  const { approval, outcome } = answer;
  if (!approval) return;
  terminal.line(terminal.paint('bold', safe(approval.title)));
  const status =
    approval.status === 'open'
      ? terminal.paint(
          'yellow',
          approval.waitingForYou ? '◆ Waiting for you' : `◇ Waiting for ${approval.by.join(', ')}`,
        )
      : `${approval.status}${outcome?.decidedBy ? ` by ${safe(outcome.decidedBy)}` : ''}`;
  terminal.line(
    `${status}${approval.status === 'open' ? ` · expires in ${duration(millis(approval.expiresAt) - Date.now())}` : ''}\n`,
  );
  for (const line of (answer.message ?? '').split('\n').filter((one) => one.trim() !== ''))
    terminal.line(`  ${safe(line)}`);
  terminal.line(
    `\n  ${answer.at === 'before' ? `If approved, “${safe(answer.capability)}” is done with:` : `The result of “${safe(answer.taskTitle)}”:`}`,
  );
  terminal.line(
    JSON.stringify(answer.subject ?? {}, null, 2)
      .split('\n')
      .map((line) => `    ${safe(line.replace(/ {2}/g, '\u00a0\u00a0')).replace(/\u00a0/g, ' ')}`)
      .join('\n'),
  );
  for (const { title, value } of answer.show) {
    const json = value ? toJson(ValueSchema, value) : null;
    const artifact = typeof json === 'object' && json !== null && 'artifact' in json ? json['artifact'] : undefined;
    const what =
      typeof artifact === 'string'
        ? `aats artifact get ${artifact}`
        : cut(safe(JSON.stringify(json)), terminal.columns - 20);
    terminal.line(`\n  ${safe(title)}  ${what}`);
  }
  if (answer.excluded.length > 0)
    terminal.line(
      `\n  ${terminal.paint('dim', `${answer.excluded.map(safe).join(', ')} asked for it, so may not answer`)}`,
    );
  if (approval.status !== 'open') return;
  terminal.line(`\n  Approve   aats approval decide ${approval.approvalId} --approve`);
  if (answer.editable.length > 0)
    terminal.line(
      `  Change    aats approval decide ${approval.approvalId} --edit     ${terminal.paint('dim', `opens ${answer.editable.map(({ path }) => path).join(', ')}`)}`,
    );
  terminal.line(`  Reject    aats approval decide ${approval.approvalId} --reject --reason "…"`);
}
