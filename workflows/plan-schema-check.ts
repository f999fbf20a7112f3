import type { Json, JsonObject } from './contracts/json';
import { validateValue } from './json-schema';
import { escapePointer, type ProblemList } from './plan-problems';
import { canRunForEver } from './plan-pattern';
import { refersToItself, wantedOf } from './plan-schema-keywords';
import { isArray, isObject } from './plan-values';

const keywords = new Set(
  (
    'type enum const title description default examples deprecated properties required additionalProperties propertyNames minProperties maxProperties items prefixItems contains minItems maxItems uniqueItems ' +
    'minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format contentMediaType allOf anyOf oneOf not if then else $ref $defs $comment'
  ).split(' '),
);
const formats = new Set(['artifact', 'date', 'date-time', 'time', 'email', 'uri', 'uuid', 'ipv4', 'ipv6', 'hostname']);
const types = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null']);
const maps = new Set(['properties', '$defs']);
const lists = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const schemas = new Set(['items', 'additionalProperties', 'propertyNames', 'contains', 'not', 'if', 'then', 'else']);

/** Checks a schema that an author wrote: known keywords only, local references, no pattern that can run for ever. */
export function checkSchema(
  schema: Json,
  at: string,
  name: string,
  problems: ProblemList,
  options: { readonly isInput?: boolean } = {},
): void {
  const before = problems.all().length;
  const schemaAt = new Map<string, Json>();
  visit(schema, at, at, problems, schemaAt);
  checkReferences(schemaAt, at, problems);
  if (!isObject(schema) || !('default' in schema) || problems.all().length > before) return;
  const [problem] = validateValue(schema, schema['default'] ?? null);
  if (!problem) return;
  const value = schema['default'] ?? null;
  const source = typeof value === 'number' ? `{{source}}` : JSON.stringify(value);
  const wanted = schema['type'];
  if (options.isInput === true && typeof value === 'number' && wanted === 'string')
    problems.error(
      'SCHEMA_MISMATCH',
      `${at}/default`,
      `The default ${source} is a number, but "${name}" is a string; put it in quotes: "${source}".`,
    );
  else
    problems.error(
      'SCHEMA_MISMATCH',
      `${at}/default`,
      `The default of "${name}" does not fit its schema: ${problem.message}`,
    );
}

function visit(schema: Json, at: string, root: string, problems: ProblemList, schemaAt: Map<string, Json>): void {
  schemaAt.set(`#${at.slice(root.length)}`, schema);
  if (typeof schema === 'boolean' && at !== root) return;
  if (!isObject(schema)) {
    problems.error('WRONG_TYPE', at, 'A schema is a map, such as { type: string }.');
    return;
  }
  for (const [key, value] of Object.entries(schema)) {
    const inside = `${at}/${escapePointer(key)}`;
    if (!keywords.has(key))
      problems.error(
        'BAD_SCHEMA',
        inside,
        `"${key}" is not a JSON Schema keyword; if the field of that name is meant, indent it less.`,
      );
    else if (holdsExpression(key, value))
      problems.error(
        'EXPRESSION_NOT_ALLOWED',
        inside,
        `${key} of a schema takes no expression; write the value itself.`,
      );
    else if (key === '$ref' && (typeof value !== 'string' || !value.startsWith('#')))
      problems.error(
        'BAD_SCHEMA',
        root,
        `"$ref": ${JSON.stringify(value)} points outside; only local references (#/…) are allowed.`,
      );
    else if (wantedOf(key, value) !== undefined)
      problems.error('BAD_SCHEMA', inside, `${key} of a schema must be ${wantedOf(key, value) ?? ''}.`);
    else if (key === 'pattern') checkPattern(value, inside, problems);
    else if (key === 'format' && (typeof value !== 'string' || !formats.has(value)))
      problems.error(
        'BAD_SCHEMA',
        inside,
        `The format ${JSON.stringify(value)} is not known; the formats are ${[...formats].join(', ')}.`,
      );
    else if (key === 'type') checkType(value, inside, problems);
    else if (maps.has(key) && isObject(value))
      for (const [name, one] of Object.entries(value))
        visit(one, `${inside}/${escapePointer(name)}`, root, problems, schemaAt);
    else if (lists.has(key) && isArray(value))
      value.forEach((one, index) => {
        visit(one, `${inside}/${index}`, root, problems, schemaAt);
      });
    else if (schemas.has(key)) visit(value, inside, root, problems, schemaAt);
  }
}

/** Nothing in a schema is evaluated; those inside it are looked at by themselves. */
const holdsExpression = (key: string, value: Json): boolean =>
  (typeof value === 'string' || ['default', 'const', 'enum', 'examples'].includes(key)) &&
  JSON.stringify(value).includes('${{');

/** The validator throws for a reference to nothing, and never ends for a schema that is itself. */
function checkReferences(schemaAt: ReadonlyMap<string, Json>, root: string, problems: ProblemList): void {
  for (const [at, schema] of schemaAt) {
    const reference = isObject(schema) ? schema['$ref'] : undefined;
    if (typeof reference !== 'string' || !reference.startsWith('#')) continue;
    const place = `${root}${at.slice(1)}/$ref`;
    if (!schemaAt.has(reference))
      problems.error('BAD_SCHEMA', place, `There is no schema at ${reference}; write it below $defs.`);
    else if (refersToItself(at, schemaAt))
      problems.error(
        'BAD_SCHEMA',
        place,
        `${reference} leads back to this schema itself; refer to it from properties or items.`,
      );
  }
}

function checkType(value: Json, at: string, problems: ProblemList): void {
  const list = isArray(value) ? value : [value];
  for (const one of list)
    if (typeof one !== 'string' || !types.has(one))
      problems.error('BAD_SCHEMA', at, `${JSON.stringify(one)} is not a type; the types are ${[...types].join(', ')}.`);
}

function checkPattern(value: Json, at: string, problems: ProblemList): void {
  if (typeof value !== 'string') problems.error('BAD_SCHEMA', at, 'A pattern is a text.');
  else if (canRunForEver(value))
    problems.error(
      'BAD_SCHEMA',
      at,
      'This pattern can run for ever (a repetition inside a repetition, a look-around or a back reference); write a simpler one.',
    );
  else {
    try {
      new RegExp(value, 'u');
    } catch {
      problems.error('BAD_SCHEMA', at, 'This pattern is not a regular expression.');
    }
  }
}

export type SchemaNode = JsonObject;
