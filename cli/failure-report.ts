import { isFailureType } from '../workflows/contracts/failures';
import { CommandFailed, exitCodeOf, exitCodes, type CliFailure, type ExitCode, type FailureLine } from './exit-codes';
import { columnsOf, cut, pad, paints, safe, spread, things, wrap } from './terminal';

/** What a command says of itself when it fails. */
export interface Failing {
  /** "Not started"; absent where nothing was to be done but to look. */
  readonly notDone?: string;
  /** The command that helps, when the failure names none. */
  readonly help?: string;
}
export interface ReportOptions extends Failing {
  readonly json: boolean;
  readonly plain: boolean;
}

/** Says what was not done, each thing that is wrong, what helps, and the exit code; with `--json` as one object on stderr. */
export function report(error: unknown, { json, plain, notDone, help }: ReportOptions): ExitCode {
  const { stderr } = process;
  const failure = toFailure(error);
  const { exitCode, lines } = failure;
  // A plan that failed was started and watched as asked.
  const title = sentence(
    notDone === undefined || exitCode === exitCodes.planFailed ? failure.title : `${notDone}: ${failure.title}`,
  );
  const hint = failure.hint ?? help;
  if (json) {
    stderr.write(
      `${JSON.stringify({ error: title, problems: lines, ...(hint !== undefined && { hint }), exitCode })}\n`,
    );
    return exitCode;
  }
  const paint = paints(stderr, plain);
  const columns = columnsOf(stderr);
  const [first = '', ...more] = wrap(safe(title), columns - 2);
  const out = [paint('red', `■ ${first}`), ...more.map((line) => paint('red', `  ${line}`))];
  if (lines.length > 0) {
    const names = Math.min(Math.max(...lines.map(({ name }) => (name ?? '').length)), 34);
    const indent = ' '.repeat(names === 0 ? 2 : names + 4);
    out.push('');
    for (const { name = '', message, suggestion } of lines) {
      const [head = '', ...rest] = wrap(safe(message), Math.max(30, columns - indent.length));
      out.push(names === 0 ? `  ${head}` : `  ${pad(cut(safe(name), names), names)}  ${head}`);
      out.push(...rest.map((line) => indent + line));
      if (suggestion !== undefined) out.push(indent + paint('dim', safe(suggestion)));
    }
    out.push('');
  }
  const hints = hint === undefined ? [''] : wrap(safe(hint), columns - 12);
  out.push(...hints.slice(0, -1).map((line) => `  ${line}`));
  out.push(spread(76, `  ${hints.at(-1) ?? ''}`, paint('dim', `exit ${exitCode}`)));
  stderr.write(`${out.join('\n')}\n`);
  return exitCode;
}

const sentence = (text: string): string => {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
};

interface Failed {
  readonly type: string;
  readonly message: string;
  readonly details?: unknown;
}
const isFailed = (error: unknown): error is Failed =>
  error instanceof Error && 'type' in error && typeof error.type === 'string';
interface Problem {
  readonly message: string;
  readonly pointer?: string;
  readonly line?: number;
}
const isProblem = (value: unknown): value is Problem =>
  typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string';

function toFailure(error: unknown): CliFailure {
  if (error instanceof CommandFailed) return error.failure;
  if (!isFailed(error))
    return {
      exitCode: exitCodes.unexpected,
      title: error instanceof Error ? error.message : 'something went wrong',
      lines: [],
    };
  const { type, message, details } = error;
  return {
    exitCode: isFailureType(type) ? exitCodeOf[type] : exitCodes.unexpected,
    ...wordsOf(type, message),
    ...withLines(type, problemLines(details)),
    ...hintFor(type),
  };
}

const problemLines = (details: unknown): readonly FailureLine[] =>
  (Array.isArray(details) ? details.flat().filter(isProblem) : []).map(lineOf);

/** Where a problem is, as its author knows the place: a line of the file, or the name of an input. */
export function lineOf({ line = 0, pointer = '', message }: Problem): FailureLine {
  const name = line > 0 ? `line ${line}` : pointer.replace(/^\/(inputs|decision)\//, '');
  const alreadySaid = `The input "${name}" does not fit its schema: `;
  const [what = '', suggestion] = message.replace(alreadySaid, '').split(/;? (?=did you mean )/);
  return { ...(name !== '' && { name }), message: what, ...(suggestion !== undefined && { suggestion }) };
}

/** The reason of a connection that failed is for the second line. */
function wordsOf(type: string, message: string): { readonly title: string; readonly lines: readonly FailureLine[] } {
  const [title = '', reason] = type === 'WorkflowUnavailable' ? message.split(/: (.*)/s) : [message];
  return { title, lines: reason === undefined ? [] : [{ message: reason }] };
}
const withLines = (type: string, lines: readonly FailureLine[]): Partial<CliFailure> =>
  lines.length === 0 ? {} : type === 'InvalidInput' ? { title: `${things(lines.length)} wrong`, lines } : { lines };

export const doesItRun = 'Does it run? “npm start” starts it here; “aats --help” says how to reach another one.';
const hints: Readonly<Record<string, string>> = {
  Unauthenticated: 'Sign in with: aats login',
  WorkflowUnavailable: doesItRun,
  PlanNotFound: 'The plans: aats plan list',
  ApprovalNotFound: 'The requests: aats approval list',
  AgentNotFound: 'The agents: aats agent list',
};
const hintFor = (type: string): { readonly hint?: string } => {
  const hint = hints[type];
  return hint === undefined ? {} : { hint };
};
