import type { Json } from './contracts/json';
import { isArray, isObject } from './plan-values';

const count = (value: Json): string | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 ? undefined : 'a whole number from 0';
const number = (value: Json): string | undefined => (typeof value === 'number' ? undefined : 'a number');
const bool = (value: Json): string | undefined => (typeof value === 'boolean' ? undefined : 'true or false');
const text = (value: Json): string | undefined => (typeof value === 'string' ? undefined : 'a text');
const map = (value: Json): string | undefined => (isObject(value) ? undefined : 'a map of schemas');
const schemas = (value: Json): string | undefined =>
  isArray(value) && value.length > 0 ? undefined : 'a list of schemas';

const forms: Readonly<Record<string, (value: Json) => string | undefined>> = {
  enum: (value) => (isArray(value) && value.length > 0 ? undefined : 'a list of values'),
  required: (value) =>
    isArray(value) && value.every((one) => typeof one === 'string') ? undefined : 'a list of names',
  examples: (value) => (isArray(value) ? undefined : 'a list'),
  properties: map,
  $defs: map,
  allOf: schemas,
  anyOf: schemas,
  oneOf: schemas,
  prefixItems: schemas,
  minProperties: count,
  maxProperties: count,
  minItems: count,
  maxItems: count,
  minLength: count,
  maxLength: count,
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: (value) => (typeof value === 'number' && value > 0 ? undefined : 'a number above 0'),
  uniqueItems: bool,
  deprecated: bool,
  title: text,
  description: text,
  contentMediaType: text,
  $comment: text,
};

/** What the value of a keyword should have been; undefined when it is that. The validator takes it unchecked, and throws. */
export const wantedOf = (keyword: string, value: Json): string | undefined =>
  Object.hasOwn(forms, keyword) ? forms[keyword]?.(value) : undefined;

/** Whether a schema leads to itself by references and combinations alone, so that checking a value would never end. */
export function refersToItself(pointer: string, schemaAt: ReadonlyMap<string, Json>): boolean {
  const done = new Set<string>();
  const leadsBack = (at: string, path: ReadonlySet<string>): boolean => {
    if (path.has(at)) return true;
    if (done.has(at)) return false;
    const inner = new Set([...path, at]);
    const found = sameValue(at, schemaAt.get(at)).some((one) => leadsBack(one, inner));
    done.add(at);
    return found;
  };
  return leadsBack(pointer, new Set());
}

/** Places of the schemas that the same value is checked against. */
function sameValue(at: string, schema: Json | undefined): readonly string[] {
  if (!isObject(schema)) return [];
  const reference = schema['$ref'];
  return [
    ...(typeof reference === 'string' ? [reference] : []),
    ...['not', 'if', 'then', 'else'].filter((key) => key in schema).map((key) => `${at}/${key}`),
    ...['allOf', 'anyOf', 'oneOf'].flatMap((key) => {
      const list = schema[key];
      return isArray(list) ? list.map((_, index) => `${at}/${key}/${index}`) : [];
    }),
  ];
}
