import type { Json, JsonObject } from './contracts/json';
import {
  type Field,
  type FieldKind,
  foreignWords,
  shapeNames,
  type ShapeName,
  shapes,
  type Stage,
  triggerWords,
} from './plan-fields';
import { checkSchema } from './plan-schema-check';
import {
  durationMs,
  durationPattern,
  camel,
  idPattern,
  isArray,
  isObject,
  kebab,
  mendDuration,
  shown,
} from './plan-values';
import { didYouMean, escapePointer, nearest, type ProblemList } from './plan-problems';

const order: Readonly<Record<Stage, number>> = { 1: 1, 2: 2, B: 3 };

/** Checks fields, types, bounds and stages of a whole plan; expressions and the graph come after. */
export function checkShape(value: JsonObject, problems: ProblemList, served: Stage): void {
  checkObject('plan', value, '', problems, served);
}

function checkObject(shape: ShapeName, value: JsonObject, pointer: string, problems: ProblemList, served: Stage): void {
  const fields = shapes[shape];
  for (const [name, field] of Object.entries(fields)) {
    if (field.required === true && !Object.hasOwn(value, name)) missing(shape, name, value, pointer, problems);
  }
  for (const [name, one] of Object.entries(value)) {
    const at = `${pointer}/${escapePointer(name)}`;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!field) unknownField(shape, name, at, problems, served);
    else {
      if (order[field.stage ?? 1] > order[served])
        problems.error('NOT_SERVED', at, `This server does not serve "${name}" yet; leave it out.`);
      if (field.laterWords && typeof one === 'string' && order[field.laterWords[one] ?? 1] > order[served])
        problems.error('NOT_SERVED', at, `This server does not serve "${name}: ${one}" yet; choose another.`);
      checkField(name, field, one, at, problems, served);
    }
  }
}

function missing(shape: ShapeName, name: string, value: JsonObject, pointer: string, problems: ProblemList): void {
  // A foreign word for it is told at its own place.
  if (shape === 'plan' && name === 'tasks') problems.error('MISSING_FIELD', pointer, 'The plan has no "tasks".');
  else if (!Object.keys(value).some((key) => nearest(key, [name]) === name))
    problems.error('MISSING_FIELD', pointer, `${shapeNames[shape].replace(/^a/, 'A')} has no "${name}"; add it.`);
}

function unknownField(shape: ShapeName, name: string, at: string, problems: ProblemList, served: Stage): void {
  const known = Object.entries(shapes[shape]).flatMap(([one, { stage }]) =>
    order[stage ?? 1] > order[served] ? [] : [one],
  );
  const what = shapeNames[shape];
  const start = `There is no field "${name}" in ${what}`;
  if (shape === 'plan' && triggerWords.has(name))
    problems.error('UNKNOWN_FIELD', at, `${start}; what starts a plan is kept beside it: aats trigger create.`);
  else if (shape === 'plan' && Object.hasOwn(shapes.task, name))
    problems.error('UNKNOWN_FIELD', at, `${start}; "${name}" belongs to a task: indent it under one.`);
  else {
    const foreign = Object.hasOwn(foreignWords, name) ? foreignWords[name] : undefined;
    const suggestion =
      foreign !== undefined && known.includes(foreign) ? `did you mean "${foreign}"?` : didYouMean(name, known);
    problems.error(
      'UNKNOWN_FIELD',
      at,
      suggestion === '' ? `${start}; the fields are ${known.join(', ')}.` : `${start}; ${suggestion}`,
    );
  }
}

function checkField(
  name: string,
  { kind }: Field,
  value: Json,
  at: string,
  problems: ProblemList,
  served: Stage,
): void {
  checkKind(name, kind, value, at, problems, served);
}

const wrongType = (name: string, wanted: string, value: Json, at: string, problems: ProblemList): void => {
  problems.error(
    'WRONG_TYPE',
    at,
    `${name} must be ${wanted}, not ${value === null ? 'null' : isArray(value) ? 'a list' : isObject(value) ? 'a map' : shown(value)}.`,
  );
};
const holdsExpression = (value: Json): boolean => typeof value === 'string' && value.includes('${{');

/** Fields that take no expression, and why. */
const reasons: Readonly<Record<string, string>> = {
  capability: 'it must be known before the plan starts',
  by: 'who decides is never computed',
  to: 'who decides is never computed',
  veto: 'who decides is never computed',
};

function refuseExpression(name: string, value: Json, at: string, problems: ProblemList, advice: string): boolean {
  if (!holdsExpression(value)) return false;
  problems.error(
    'EXPRESSION_NOT_ALLOWED',
    at,
    `${name} takes no expression; ${reasons[name.replace(/\[\d+\]$/, '')] ?? advice}.`,
  );
  return true;
}

function checkKind(name: string, kind: FieldKind, value: Json, at: string, problems: ProblemList, served: Stage): void {
  switch (kind.is) {
    case 'value':
      checkInside(name, value, at, problems);
      return;
    case 'arguments':
      if (!isObject(value)) wrongType(name, 'a map', value, at, problems);
      else {
        if (Object.keys(value).length > 200)
          problems.error('TOO_LARGE', at, `${name} has ${Object.keys(value).length} keys, more than 200.`);
        checkInside(name, value, at, problems);
      }
      return;
    case 'object':
      if (isObject(value)) checkObject(kind.shape, value, at, problems, served);
      else wrongType(name, 'a map', value, at, problems);
      return;
    case 'list':
      checkList(name, kind, value, at, problems, served);
      return;
    case 'schema':
      checkSchema(value, at, name, problems);
      return;
    case 'schemas':
      if (!isObject(value)) wrongType(name, 'a map', value, at, problems);
      else {
        if (Object.keys(value).length > 100)
          problems.error('TOO_LARGE', at, `${name} has ${Object.keys(value).length} entries, more than 100.`);
        for (const [key, schema] of Object.entries(value)) {
          const inside = `${at}/${escapePointer(key)}`;
          checkId(key, inside, problems);
          checkSchema(schema, inside, key, problems, { isInput: true });
        }
      }
      return;
    case 'plans':
      if (!isObject(value)) wrongType(name, 'a map', value, at, problems);
      else
        for (const [key, one] of Object.entries(value)) {
          if (isObject(one)) checkObject('subPlan', one, `${at}/${escapePointer(key)}`, problems, served);
          else wrongType(key, 'a map', one, `${at}/${escapePointer(key)}`, problems);
        }
      return;
    case 'integer':
    case 'number':
      if (
        refuseExpression(name, value, at, problems, kind.is === 'integer' ? 'write a whole number' : 'write a number')
      )
        return;
      if (typeof value !== 'number' || (kind.is === 'integer' && !Number.isInteger(value)))
        wrongType(name, kind.is === 'integer' ? 'a whole number' : 'a number', value, at, problems);
      else if (value < kind.min || value > kind.max)
        problems.error('BAD_VALUE', at, `${name} must be from ${kind.min} to ${kind.max}, not ${value}.`);
      return;
    case 'boolean':
      if (refuseExpression(name, value, at, problems, 'write true or false')) return;
      if (typeof value !== 'boolean') wrongType(name, 'true or false', value, at, problems);
      return;
    case 'duration':
      checkDuration(name, kind, value, at, problems);
      return;
    case 'money':
      if (typeof value === 'number')
        problems.error('WRONG_TYPE', at, `${name} needs a currency; write "${value.toFixed(2)} EUR".`);
      else if (typeof value !== 'string' || !/^(0|[1-9]\d{0,11})(\.\d{1,6})? [A-Z]{3}$/.test(value))
        problems.error('BAD_VALUE', at, `${name} is an amount and a currency; write "12.50 EUR".`);
      return;
    case 'labels':
      checkTexts(name, value, at, problems, 32, /^[a-z0-9][a-z0-9./-]{0,62}$/, 256);
      return;
    case 'secrets':
      checkTexts(name, value, at, problems, 20, idPattern, 320);
      if (isObject(value))
        for (const [key, path] of Object.entries(value))
          if (
            typeof path === 'string' &&
            !problems.touches(`${at}/${escapePointer(key)}`) &&
            !/^[a-z0-9][a-z0-9._-]{0,62}(\/[a-z0-9][a-z0-9._-]{0,62}){0,4}$/.test(path)
          )
            problems.error(
              'BAD_VALUE',
              `${at}/${escapePointer(key)}`,
              `A secret is named by its path in the secret store, as in payments/live-token.`,
            );
      return;
    default:
      checkString(name, kind, value, at, problems);
  }
}

function checkString(name: string, kind: FieldKind, value: Json, at: string, problems: ProblemList): void {
  if (
    kind.is !== 'text' &&
    kind.is !== 'expression' &&
    refuseExpression(name, value, at, problems, 'write the text itself')
  )
    return;
  if (typeof value !== 'string') {
    wrongType(name, kind.is === 'expression' ? 'an expression' : 'a text', value, at, problems);
    return;
  }
  if (value === '') {
    // Of an expression it is said with its remedy.
    const advice = kind.is === 'id' || kind.is === 'name' ? 'write one' : 'leave it out or write something';
    if (kind.is !== 'expression') problems.error('BAD_VALUE', at, `${name} is empty; ${advice}.`);
  } else if (kind.is === 'id') checkId(value, at, problems);
  else if (kind.is === 'failureType' && !/^[A-Z][A-Za-z0-9]{0,62}$/.test(value))
    problems.error('BAD_VALUE', at, `"${value}" is no type of failure: letters and digits, as in AgentLost.`);
  else if (kind.is === 'name' && !/^[a-z0-9][a-z0-9-]{0,62}$/.test(value))
    problems.error(
      'BAD_VALUE',
      at,
      `"${value}" cannot be a ${name}: lower-case letters, digits and hyphens only, at most 63; write "${kebab(value).replaceAll(/[._]/g, '-').slice(0, 63) || 'work'}".`,
    );
  else if (kind.is === 'planRef' && !/^[a-z0-9][a-z0-9-]{0,62}(@[1-9]\d{0,8})?$/.test(value))
    problems.error('BAD_VALUE', at, `"${value}" names no plan; write name or name@version.`);
  else if (kind.is === 'pointer' && !/^(\/[^/]+)+$/.test(value))
    problems.error(
      'BAD_VALUE',
      at,
      `"${value}" is not a JSON Pointer into with; write "/${value.split('/').filter(Boolean).join('/') || 'name'}".`,
    );
  else if (kind.is === 'choice' && !kind.of.includes(value))
    problems.error(
      'BAD_VALUE',
      at,
      `${name} must be ${orList(kind.of)}, not "${value}".${name === 'onExpiry' && value.startsWith('approv') ? ' Nothing ever approves by itself.' : ''}`,
    );
  else if (value.length > (kind.is === 'text' ? 32_000 : 4000))
    problems.error(
      'TOO_LARGE',
      at,
      `${name} has ${value.length} characters, more than ${kind.is === 'text' ? 32_000 : 4000}.`,
    );
}
const orList = (list: readonly string[]): string =>
  list.length === 1 ? (list[0] ?? '') : `${list.slice(0, -1).join(', ')} or ${list.at(-1) ?? ''}`;

function checkId(value: string, at: string, problems: ProblemList): void {
  if (idPattern.test(value)) return;
  problems.error(
    'BAD_VALUE',
    at,
    `"${value}" cannot be an id: letters and digits only, starting with a lower-case letter; write "${camel(value).slice(0, 63) || 'task1'}".`,
  );
}

function checkDuration(
  name: string,
  { min, max }: { readonly min?: string; readonly max?: string },
  value: Json,
  at: string,
  problems: ProblemList,
): void {
  if (refuseExpression(name, value, at, problems, 'write a duration such as 30s')) return;
  if (typeof value === 'number') problems.error('WRONG_TYPE', at, `${name} needs a unit; write "${value}s".`);
  else if (typeof value !== 'string') wrongType(name, 'a duration such as 30s', value, at, problems);
  else if (!durationPattern.test(value))
    problems.error('BAD_VALUE', at, `"${value}" is not a duration; ${mendDuration(value).advice}.`);
  else if (
    (min !== undefined && durationMs(value) < durationMs(min)) ||
    (max !== undefined && durationMs(value) > durationMs(max))
  )
    problems.error('BAD_VALUE', at, `${name} must be from ${min ?? '1ms'} to ${max ?? 'any'}, not ${value}.`);
}

function checkList(
  name: string,
  kind: Extract<FieldKind, { is: 'list' }>,
  value: Json,
  at: string,
  problems: ProblemList,
  served: Stage,
): void {
  if (!isArray(value)) {
    wrongType(name, 'a list', value, at, problems);
    return;
  }
  if (value.length < (kind.min ?? 0))
    problems.error(
      'BAD_VALUE',
      at,
      `${name} must have at least ${kind.min ?? 0} ${kind.min === 1 ? 'entry' : 'entries'}.`,
    );
  if (value.length > kind.max)
    problems.error('TOO_LARGE', at, `${name} has ${value.length} entries, more than ${kind.max}.`);
  const seen = new Set<string>();
  value.forEach((one, index) => {
    checkKind(`${name}[${index}]`, kind.item, one, `${at}/${index}`, problems, served);
    const key = JSON.stringify(one);
    if (kind.unique === true && seen.has(key))
      problems.error('BAD_VALUE', `${at}/${index}`, `${shown(one)} stands twice in ${name}; keep one.`);
    seen.add(key);
  });
}

function checkTexts(
  name: string,
  value: Json,
  at: string,
  problems: ProblemList,
  most: number,
  keys: RegExp,
  length: number,
): void {
  if (!isObject(value)) {
    wrongType(name, 'a map of texts', value, at, problems);
    return;
  }
  if (Object.keys(value).length > most)
    problems.error('TOO_LARGE', at, `${name} has ${Object.keys(value).length} entries, more than ${most}.`);
  for (const [key, text] of Object.entries(value)) {
    const inside = `${at}/${escapePointer(key)}`;
    if (!keys.test(key)) problems.error('BAD_VALUE', inside, `"${key}" cannot be a key of ${name}.`);
    if (refuseExpression(name, text, inside, problems, 'write the text itself')) continue;
    if (typeof text !== 'string') wrongType(`${name}.${key}`, 'a text in quotes', text, inside, problems);
    else if (text.length > length)
      problems.error('TOO_LARGE', inside, `${name}.${key} has ${text.length} characters, more than ${length}.`);
  }
}

const secretWords =
  /^(password|passwd|secret|apikey|api_key|token|accesstoken|access_token|privatekey|private_key|credential|credentials)$/i;

/** Fields of a task; those that are ordinary names of arguments too, such as title, id or output, are left out. */
const misplaced: ReadonlySet<string> = new Set([
  'needs',
  'after',
  'when',
  'forEach',
  'repeat',
  'timeout',
  'heartbeat',
  'deadline',
  'retry',
  'onFailure',
  'compensation',
  'secrets',
]);

/** Inside of with and the like: what looks like a slip or a secret, how deep it is. */
function checkInside(name: string, value: Json, at: string, problems: ProblemList, depth = 1): void {
  if (depth > 32) {
    problems.error('TOO_LARGE', at, `${name} is deeper than 32 levels.`);
    return;
  }
  if (typeof value === 'string' && value.length > 32_000)
    problems.error('TOO_LARGE', at, `${name} has a text of ${value.length} characters, more than 32000.`);
  if (isArray(value))
    value.forEach((one, index) => {
      checkInside(`${name}[${index}]`, one, `${at}/${index}`, problems, depth + 1);
    });
  if (!isObject(value)) return;
  for (const [key, one] of Object.entries(value)) {
    const inside = `${at}/${escapePointer(key)}`;
    if (key.includes('${{'))
      problems.error('EXPRESSION_NOT_ALLOWED', inside, 'A key takes no expression; only values do.');
    if (depth === 1 && name === 'with' && key === 'approval')
      problems.error('MISPLACED_FIELD', inside, 'approval stands inside with, where it asks nobody; indent it less.');
    else if (depth === 1 && name === 'with' && misplaced.has(key))
      problems.warning(
        'MISPLACED_FIELD',
        inside,
        `${key} stands inside with, where it is an argument; if the field of the task is meant, indent it less.`,
      );
    if (typeof one === 'string' && one !== '' && secretWords.test(key) && !one.includes('${{'))
      problems.warning(
        'SECRET_IN_TEXT',
        inside,
        `${key} looks like a secret; move it to the secret store and name its path in secrets.`,
      );
    checkInside(key, one, inside, problems, depth + 1);
  }
}
