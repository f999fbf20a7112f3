import { type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { GetApprovalResponse } from '../proto/aats/project/v1/project_pb';
import type { CommandContext } from './command';
import type { Connection } from './connection';
import { milliseconds } from '../services/runtime/plan-figures';
import { clock, cut, duration, jsonLines, list, pad, safe, type Terminal, whoWords, width, wrap } from './terminal';

/** What earlier tasks found, by the name of the line of which they speak. */
export type Found = ReadonlyMap<string, JsonObject>;

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: JsonValue): value is JsonObject[] =>
  Array.isArray(value) && value.length > 0 && value.every(isObject);
const nameOf = ({ name, id }: JsonObject): string => {
  const found = name ?? id;
  return typeof found === 'string' ? found : '';
};

const tasksAsked = 60;

/** Never rejects: a result that the plan let go, or that is an artifact, is missing in the table and nothing else. */
export async function foundBefore({ plans }: Connection, { approval, subject }: GetApprovalResponse): Promise<Found> {
  const found = new Map<string, JsonObject>();
  if (!approval || !Object.values(subject ?? {}).some(isList)) return found;
  const { planId, taskId } = approval;
  try {
    const { tasks } = await plans.getPlan({ planId });
    const needs = tasks.find(({ id }) => id === taskId)?.needs ?? [];
    const asked = tasks.filter(({ id, parent }) => needs.includes(parent ?? id)).slice(0, tasksAsked);
    const outputs = await Promise.all(
      asked.map(({ id }) =>
        plans.getTask({ planId, taskId: id }).then(
          ({ output }) => output,
          () => undefined,
        ),
      ),
    );
    for (const output of outputs) {
      const value = output ? toJson(ValueSchema, output) : null;
      for (const one of Array.isArray(value) ? value : [value])
        if (isObject(one) && nameOf(one) !== '') found.set(nameOf(one), { ...found.get(nameOf(one)), ...one });
    }
  } catch {
    // The request is shown without.
  }
  return found;
}

/** The value at an RFC 6901 pointer. */
export function valueAt(subject: JsonObject, pointer: string): JsonValue {
  let value: JsonValue | undefined = subject;
  for (const raw of pointer.split('/').slice(1)) {
    const part = raw.replace(/~1/g, '/').replace(/~0/g, '~');
    value = Array.isArray(value) ? value[Number(part)] : isObject(value) ? value[part] : undefined;
  }
  return value ?? null;
}

/** What will happen, with which arguments, what is known of them, who may answer, and how. */
export function printApproval(
  { terminal }: CommandContext,
  answer: GetApprovalResponse,
  found: Found,
  all: boolean,
): void {
  const { approval } = answer;
  if (!approval) return;
  const { paint, columns } = terminal;
  const isOpen = approval.status === 'open';
  const say = (text: string): void => {
    for (const line of wrap(safe(text), columns - 2)) terminal.line(`  ${line}`);
  };
  terminal.line(paint('bold', cut(safe(approval.title), columns)));
  terminal.line(`${statusWords(terminal, answer)}\n`);
  for (const line of (answer.message ?? '').split('\n')) if (line.trim() !== '') say(line);
  say(
    answer.at === 'before'
      ? `If you approve, “${answer.taskTitle}” is done (${answer.capability}), with:`
      : `“${answer.taskTitle}” is done; if you approve, the plan goes on with this result:`,
  );
  for (const [key, value] of Object.entries(answer.subject ?? {})) {
    terminal.line();
    const lines = isList(value) ? table(terminal, value, found, all) : undefined;
    if (lines) for (const line of [`  ${safe(key)}`, ...lines]) terminal.line(line);
    else for (const line of field(terminal, key, value)) terminal.line(line);
  }
  for (const { title, value } of answer.show) {
    terminal.line();
    for (const line of field(terminal, title, value ? toJson(ValueSchema, value) : null)) terminal.line(line);
  }
  terminal.line();
  if (!isOpen) return;
  say(
    `${list(approval.by.map(whoWords), 'or')} may answer; the first answer decides.`.replace(/^./, (one) =>
      one.toUpperCase(),
    ),
  );
  if (approval.waitingForYou) terminal.line(`  ${paint('yellow', '◆')} You have not answered`);
  for (const name of answer.excluded)
    terminal.line(paint('dim', `  – ${safe(name)} started the plan, so may not answer`));
  const decide = `aats approval decide ${approval.approvalId}`;
  const opens = answer.editable.map(({ path }) => path).join(', ');
  terminal.line(`\n  Approve   ${decide} --approve`);
  if (answer.editable.length > 0)
    terminal.line(`  Change    ${decide} --edit     ${paint('dim', `opens ${safe(opens)}`)}`);
  terminal.line(`  Reject    ${decide} --reject --reason "…"`);
}

function statusWords({ paint }: Terminal, { approval, outcome }: GetApprovalResponse): string {
  if (!approval) return '';
  const dot = paint('dim', '·');
  if (approval.status !== 'open') {
    const by = outcome?.decidedBy ? ` by ${safe(outcome.decidedBy)}` : '';
    const at = milliseconds(outcome?.at);
    const reason = outcome?.reason ? ` ${dot} “${safe(outcome.reason)}”` : '';
    return `${approval.status === 'approved' ? paint('green', '✓') : paint('red', '■')} ${approval.status}${by}${at === undefined ? '' : ` ${dot} ${clock(new Date(at))}`}${reason}`;
  }
  const ends = milliseconds(approval.expiresAt) ?? Date.now();
  const who = approval.waitingForYou ? '◆ Waiting for you' : `◇ Waiting for ${list(approval.by.map(whoWords), 'or')}`;
  return `${paint('yellow', who)} ${dot} expires in ${duration(ends - Date.now())}, at ${clock(new Date(ends))}`;
}

/** A single value beside its name, a document by the command that fetches it, anything else as indented JSON. */
function field({ columns, paint }: Terminal, name: string, value: JsonValue): readonly string[] {
  if (isObject(value) && typeof value['artifact'] === 'string') {
    const { artifact, name: file, size } = value;
    const facts = [file, typeof size === 'number' ? `${size} bytes` : undefined].filter(
      (one) => typeof one === 'string',
    );
    return [`  ${safe(name)}  ${safe(facts.join(', '))}`, paint('dim', `    aats artifact get ${safe(artifact)}`)];
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (!text.includes('\n') && width(text) + name.length + 4 <= columns) return [`  ${safe(name)}  ${safe(text)}`];
  if (typeof value !== 'string') return [`  ${safe(name)}`, ...jsonLines(value, '    ')];
  const lines = value.split('\n').flatMap((line) => wrap(safe(line), columns - 4));
  return [`  ${safe(name)}`, ...lines.map((line) => `    ${line}`)];
}

const shownLines = 12;
const risks: Readonly<Record<string, readonly [string, 'green' | 'yellow' | 'red']>> = {
  low: ['▂__ low', 'green'],
  medium: ['▂▄_ medium', 'yellow'],
  high: ['▂▄▆ high', 'red'],
};
const scalar = (value: JsonValue | undefined): string | undefined =>
  typeof value === 'boolean'
    ? value
      ? 'yes'
      : 'no'
    : typeof value === 'string' || typeof value === 'number'
      ? String(value)
      : undefined;

/** A list of flat things as a table, with what is known of each; undefined when a line holds more than single values. */
function table(
  { columns, paint }: Terminal,
  proposed: readonly JsonObject[],
  found: Found,
  all: boolean,
): readonly string[] | undefined {
  if (proposed.some((line) => Object.values(line).some((value) => scalar(value) === undefined))) return undefined;
  const names = new Set(proposed.map(nameOf));
  const left = [...found].flatMap(([name, known]) => (names.has(name) ? [] : [known]));
  const lines = proposed.map((line) => ({ ...found.get(nameOf(line)), ...line }));
  const keys = columnsFor([...lines, ...left], Object.keys(proposed[0] ?? {}), columns - 4);
  const cells = (line: JsonObject): string =>
    keys
      .map(({ key, size }) => pad(cell(paint, line[key], size), size + 2))
      .join('')
      .trimEnd();
  const part = (some: readonly JsonObject[], sign: string, rest: string): readonly string[] => {
    const most = all || some.length <= shownLines + 1 ? some.length : shownLines;
    return [
      ...some.slice(0, most).map((line) => `  ${sign} ${cells(line)}`),
      ...(some.length > most ? [paint('dim', `    and ${some.length - most} more${rest}; --all shows them`)] : []),
    ];
  };
  return [
    paint(
      'dim',
      `    ${keys.map(({ key, size }) => pad(key.charAt(0).toUpperCase() + key.slice(1), size + 2)).join('')}`.trimEnd(),
    ),
    ...part(lines, paint('green', '✓'), ''),
    ...part(left, paint('dim', '–'), ' left out'),
  ];
}

function cell(paint: Terminal['paint'], value: JsonValue | undefined, size: number): string {
  const text = scalar(value) ?? '';
  const risk = risks[text];
  if (risk) return paint(risk[1], risk[0]);
  if (value === false) return paint('red', text);
  return cut(safe(text), size);
}

/** The line's own properties, then short ones that were found out, as long as there is room. */
function columnsFor(
  lines: readonly JsonObject[],
  own: readonly string[],
  room: number,
): readonly { readonly key: string; readonly size: number }[] {
  const others = new Set(lines.flatMap((line) => Object.keys(line)).filter((key) => !own.includes(key)));
  const chosen: { key: string; size: number }[] = [];
  let used = 0;
  for (const key of [...own, ...others]) {
    const texts = lines.map((line) => scalar(line[key]));
    if (texts.every((text) => text === undefined)) continue;
    const longest = Math.max(key.length, ...texts.map((text = '') => (risks[text] ? 10 : width(safe(text)))));
    if (!own.includes(key) && longest > 60) continue; // a sentence, or a digest
    const size = Math.min(longest, own.includes(key) ? 40 : 60);
    if (used + size + 2 > room) continue;
    chosen.push({ key, size });
    used += size + 2;
  }
  return chosen;
}
