import type { ASTNode } from '@marcbachmann/cel-js';
import type { Json } from './contracts/json';
import { parseText, soleExpression } from './expression-text';
import { childrenOf, parseExpression, type Reference, referencesOf } from './expressions';
import { didYouMean, escapePointer, type ProblemList } from './plan-problems';
import { dyn, type PlanType, typedEnvironment } from './plan-types';
import { isArray, isObject } from './plan-values';

/** What may be named at one place of a plan. */
export interface CheckScope {
  /** Variables beside `tasks`, with their types. */
  readonly variables: Readonly<Record<string, PlanType>>;
  /** Type of `tasks.<id>`, or what is wrong with naming it here. */
  readonly task: (
    id: string,
  ) => PlanType | { readonly problem: 'UNKNOWN_TASK' | 'MISSING_NEED'; readonly message: string };
  /** Why a variable that exists elsewhere does not exist here. */
  readonly absent?: Readonly<Partial<Record<string, string>>>;
}

/** Every string of a value: its expressions parse, name what exists, and fit their types. */
export function checkValue(value: Json, pointer: string, scope: CheckScope, problems: ProblemList): void {
  if (typeof value === 'string') checkText(value, pointer, scope, problems);
  else if (isArray(value))
    value.forEach((one, index) => {
      checkValue(one, `${pointer}/${index}`, scope, problems);
    });
  else if (isObject(value))
    for (const [key, one] of Object.entries(value))
      checkValue(one, `${pointer}/${escapePointer(key)}`, scope, problems);
}

const foreignMarker =
  /(?<!\$)\{\{\s*(inputs|tasks|item|plan|output|index)\b|\$\{\s*(inputs|tasks|item|plan|output|index)\b|^=\s*(inputs|tasks|item|plan|output)\b/;

/** With `isText` it is shown to people: what it gives alone must be a text too. */
export function checkText(
  text: string,
  pointer: string,
  scope: CheckScope,
  problems: ProblemList,
  isText = false,
): void {
  const { parts, unclosedAt } = parseText(text);
  if (unclosedAt !== undefined) {
    problems.error(
      'BAD_EXPRESSION',
      pointer,
      'The expression is not closed: "}}" is missing (in YAML, " #" starts a comment; put such a text in quotes).',
    );
    return;
  }
  const name = lastName(pointer);
  const isAlone = soleExpression(text) !== undefined;
  for (const part of parts) {
    if (part.kind === 'literal') {
      if (foreignMarker.test(part.text))
        problems.warning(
          'LOOKS_LIKE_EXPRESSION',
          pointer,
          `${name} is taken as literal text; an expression is written \${{ … }}.`,
        );
      continue;
    }
    const type = checkSource(part.source, pointer, scope, problems);
    // Also within lists and maps: list<bytes>.
    const foreign = type?.split(/[<>, ]+/).find((one) => foreignToJson.has(one));
    if (foreign !== undefined)
      problems.error(
        'EXPRESSION_TYPE',
        pointer,
        `"${part.source}" gives ${foreignToJson.get(foreign) ?? foreign}, which JSON cannot hold; compare it here, or pass a text or a number.`,
      );
    if (
      (isText || !isAlone) &&
      type !== undefined &&
      (type.startsWith('list') || type.startsWith('map') || type.startsWith('Record') || type === 'null')
    ) {
      problems.error(
        'EXPRESSION_TYPE',
        pointer,
        `"${part.source}" gives ${typeName(type)}, which cannot stand in a text.`,
      );
    }
  }
}

const foreignToJson: ReadonlyMap<string, string> = new Map([
  ['bytes', 'bytes'],
  ['uint', 'an unsigned number'],
  ['google.protobuf.Timestamp', 'a time'],
  ['google.protobuf.Duration', 'a duration'],
  ['type', 'a type'],
]);

/** A field of kind *expression*: exactly one, of the wanted type. */
export function checkExpressionField(
  name: string,
  text: Json,
  pointer: string,
  wanted: 'bool' | 'list',
  scope: CheckScope,
  problems: ProblemList,
): void {
  if (typeof text !== 'string') return; // said by the shape
  const sole = soleExpression(text);
  if (sole === undefined) {
    if (!text.includes('${{'))
      problems.error('EXPRESSION_REQUIRED', pointer, `${name} must be an expression; write \${{ ${unmarked(text)} }}.`);
    else if (parseText(text).unclosedAt !== undefined) checkText(text, pointer, scope, problems);
    else
      problems.error(
        'EXPRESSION_REQUIRED',
        pointer,
        `${name} must be exactly one expression, with nothing before or after it.`,
      );
    return;
  }
  const type = checkSource(sole, pointer, scope, problems);
  if (type === undefined || type === 'dyn') return;
  if (wanted === 'bool' && type !== 'bool')
    problems.error('EXPRESSION_TYPE', pointer, `${name} must give true or false; "${sole}" gives ${typeName(type)}.`);
  if (wanted === 'list' && !type.startsWith('list'))
    problems.error('EXPRESSION_TYPE', pointer, `${name} must give a list; "${sole}" gives ${typeName(type)}.`);
}

/** Without the marker of another system. */
const unmarked = (text: string): string =>
  text
    .trim()
    .replace(/^(?:\{\{(.*)\}\}|\$\{(.*)\}|=(.*))$/s, (_, ...inner: (string | undefined)[]) =>
      inner.slice(0, 3).join(''),
    )
    .trim() || '…';

const lastName = (pointer: string): string => {
  const parts = pointer.split('/').slice(1);
  const index = parts.findLastIndex((part) => !/^\d+$/.test(part));
  return `${parts[index] ?? 'text'}${parts
    .slice(index + 1)
    .map((part) => `[${part}]`)
    .join('')}`;
};
const typeName = (type: string): string =>
  type.startsWith('Record') ? 'a record' : type.startsWith('list') ? 'a list' : type.startsWith('map') ? 'a map' : type;

/** Checks one expression; gives the name of its type when it is sound. */
export function checkSource(
  source: string,
  pointer: string,
  scope: CheckScope,
  problems: ProblemList,
): string | undefined {
  if (source.length > 4000) {
    problems.error('TOO_LARGE', pointer, `The expression has ${source.length} characters, more than 4000.`);
    return undefined;
  }
  let ast: ASTNode;
  try {
    ({ ast } = parseExpression(source));
  } catch (error) {
    const { summary, message, range } = error as { summary?: string; message: string; range?: { start: number } };
    problems.error(
      'BAD_EXPRESSION',
      pointer,
      `Not valid CEL: ${summary ?? message.split('\n')[0] ?? ''} at character ${(range?.start ?? 0) + 1} of "${source}".`,
    );
    return undefined;
  }
  if (refused(ast, pointer, problems)) return undefined;
  const references = referencesOf(ast);
  const types: Record<string, PlanType> = {};
  const tasks: Record<string, PlanType> = {};
  let sound = true;
  for (const reference of references) {
    if (typeNames.has(reference.variable)) continue;
    const type = resolve(reference, source, pointer, scope, problems);
    if (type === undefined) {
      sound = false;
      // The rest of `tasks.run-tests` is no variable of its own.
      if (reference.task !== undefined && hyphenated(source, reference.task) !== undefined) break;
    } else if (reference.variable === 'tasks') tasks[reference.task ?? ''] = type;
    else types[reference.variable] = type;
  }
  if (!sound) return undefined;
  const environment = typedEnvironment({
    ...types,
    ...(Object.keys(tasks).length > 0 && { tasks: { is: 'record', fields: tasks } }),
  });
  const result = environment.parse(source).check();
  if (result.valid) return result.type ?? 'dyn';
  reportTypeError(
    result.error as CheckError,
    source,
    pointer,
    { ...types, tasks: { is: 'record', fields: tasks } },
    problems,
  );
  return undefined;
}

function resolve(
  { variable, task }: Reference,
  source: string,
  pointer: string,
  scope: CheckScope,
  problems: ProblemList,
): PlanType | undefined {
  if (variable === 'tasks') {
    if (task === undefined) {
      problems.error(
        'BAD_EXPRESSION',
        pointer,
        `tasks is used as a whole or with a computed name in "${source}"; name the task: tasks.<id>.`,
      );
      return undefined;
    }
    const hyphen = hyphenated(source, task);
    const found = scope.task(hyphen ?? task);
    if (!('problem' in found)) return found;
    problems.error(found.problem, pointer, found.message);
    return undefined;
  }
  const known = Object.hasOwn(scope.variables, variable) ? scope.variables[variable] : undefined;
  if (known) return known;
  const absent = scope.absent && Object.hasOwn(scope.absent, variable) ? scope.absent[variable] : undefined;
  if (absent !== undefined) problems.error('UNKNOWN_VARIABLE', pointer, `There is no "${variable}" here; ${absent}.`);
  else if (/^[A-Z][A-Z0-9_]*$/.test(variable))
    problems.error(
      'UNKNOWN_VARIABLE',
      pointer,
      `There is no "${variable}" here; if this text is meant literally, write $\${{ ${source} }}.`,
    );
  else {
    const names = ['tasks', ...Object.keys(scope.variables)];
    const suggestion =
      variable === 'needs' || variable === 'steps' || variable === 'jobs'
        ? 'did you mean "tasks"?'
        : didYouMean(variable, names);
    problems.error(
      'UNKNOWN_VARIABLE',
      pointer,
      `There is no "${variable}" here; ${suggestion === '' ? `there are ${names.join(', ')}.` : suggestion}`,
    );
  }
  return undefined;
}

/** CEL reads `tasks.run-tests` as a subtraction; the author meant a name. */
const hyphenated = (source: string, task: string): string | undefined =>
  new RegExp(`tasks\\.(${task}(?:-[A-Za-z0-9]+)+)`).exec(source)?.[1];

const loops = new Set(['map', 'filter', 'all', 'exists', 'exists_one']);
/** What is offered for good: the library may bring more with any release. */
const functions: ReadonlySet<string> = new Set([
  ...loops,
  ...'bind size string int double has contains startsWith endsWith indexOf substring split join trim'.split(' '),
  ...'lowerAscii upperAscii timestamp duration dyn type'.split(' '),
]);
/** What type() gives, to compare it with. */
const typeNames: ReadonlySet<string> = new Set(['string', 'int', 'double', 'bool', 'list', 'map', 'null_type']);
const unavailable: Readonly<Record<string, string>> = {
  matches: 'because a pattern can run for ever; use contains, startsWith or endsWith',
  bytes: 'because JSON has no bytes',
};

function refused(ast: ASTNode, pointer: string, problems: ProblemList): boolean {
  let found = false;
  const visit = (node: ASTNode, depth: number): void => {
    const name = node.op === 'call' || node.op === 'rcall' ? node.args[0] : undefined;
    const reason =
      name === undefined
        ? undefined
        : ((Object.hasOwn(unavailable, name) ? unavailable[name] : undefined) ??
          (/^get[A-Z]/.test(name) ? 'because the time zone of a place is not known here' : undefined) ??
          (functions.has(name) ? undefined : `the functions are ${[...functions].join(', ')}`));
    if (reason !== undefined) {
      found = true;
      problems.error(
        'BAD_EXPRESSION',
        pointer,
        `The function ${name ?? ''}() is not available${reason.startsWith('because') ? ',' : ';'} ${reason}.`,
      );
    }
    const inner = node.op === 'rcall' && loops.has(node.args[0]) ? depth + 1 : depth;
    if (inner === 3 && inner > depth) {
      found = true;
      problems.error(
        'BAD_EXPRESSION',
        pointer,
        'Three loops inside each other can take too long; do a part of it in a task.',
      );
    }
    // The list that a loop runs over is evaluated once, outside of it.
    for (const child of childrenOf(node)) visit(child, node.op === 'rcall' && child === node.args[1] ? depth : inner);
  };
  visit(ast, 0);
  return found;
}

interface CheckError {
  readonly code?: string;
  readonly summary?: string;
  readonly message: string;
  readonly node?: ASTNode;
}

function reportTypeError(
  error: CheckError,
  source: string,
  pointer: string,
  types: Readonly<Record<string, PlanType>>,
  problems: ProblemList,
): void {
  const summary = error.summary ?? error.message.split('\n')[0] ?? '';
  if (error.code === 'no_such_key' && error.node?.op === '.') {
    const [receiver, key] = error.node.args;
    const path = source.slice(receiver.start, receiver.end);
    const fields = fieldsAt(receiver, types);
    const suggestion = path.includes('.') ? didYouMean(key, fields) : '';
    problems.error(
      'UNKNOWN_PROPERTY',
      pointer,
      `${path} has no "${key}"; ${suggestion === '' ? 'declare it in the schema it comes from.' : suggestion}`,
    );
    return;
  }
  const overload = /^no such overload: (\S.*?) (\S+) (\S.*)$/.exec(summary);
  if (overload) {
    const [, left = '', operator = '', right = ''] = overload;
    const isNumeric = [left, right].sort().join() === 'double,int';
    problems.error(
      'EXPRESSION_TYPE',
      pointer,
      `"${source}" joins ${typeName(left)} and ${typeName(right)} with ${operator}; ${isNumeric ? 'write a double literal such as 1.0, or double(…)' : 'convert one of them, as in string(…)'}.`,
    );
    return;
  }
  problems.error('EXPRESSION_TYPE', pointer, `"${source}": ${summary}.`);
}

function fieldsAt(node: ASTNode, types: Readonly<Record<string, PlanType>>): readonly string[] {
  const typeAt = (one: ASTNode): PlanType => {
    if (one.op === 'id') return types[one.args] ?? dyn;
    if (one.op !== '.') return dyn;
    const receiver = typeAt(one.args[0]);
    return receiver.is === 'record' ? (receiver.fields[one.args[1]] ?? dyn) : dyn;
  };
  const type = typeAt(node);
  return type.is === 'record' ? Object.keys(type.fields) : [];
}
