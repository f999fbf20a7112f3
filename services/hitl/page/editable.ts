import type { Json, JsonObject } from '../../../workflows/contracts/json';
import { isObject, keyWords, plainText } from './values';

/** One thing that a person may change: a pointer into the arguments, its schema, and the value that was proposed. */
export interface EditableField {
  readonly path: string;
  readonly schema: JsonObject;
  readonly proposed: Json;
}
/** A line of a list of flat objects; `proposed` lines are ticked, the others may be taken on. */
export interface Line {
  readonly value: JsonObject;
  readonly proposed: boolean;
}
/** What the team found about a line, by the line's name. */
export type Evidence = ReadonlyMap<string, JsonObject>;

/** The value at an RFC 6901 pointer. */
export function valueAt(value: Json, pointer: string): Json | undefined {
  let one: Json | undefined = value;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replace(/~1/g, '/').replace(/~0/g, '~');
    if (Array.isArray(one)) one = (one as readonly Json[])[Number(key)];
    else if (isObject(one)) one = one[key];
    else return undefined;
  }
  return one;
}

const scalars = ['string', 'number', 'integer', 'boolean'];

/** Properties of a list's items when all of them are single values: then lines can be edited, otherwise JSON is. */
export function lineProperties({
  schema,
}: EditableField): readonly (readonly [name: string, schema: JsonObject])[] | undefined {
  const items = schema['items'];
  if (schema['type'] !== 'array' || !isObject(items) || items['type'] !== 'object' || !isObject(items['properties']))
    return undefined;
  const properties = Object.entries(items['properties']);
  const flat = properties.every(
    ([, one]) => isObject(one) && (Array.isArray(one['enum']) || scalars.includes(plainText(one['type']))),
  );
  return flat && properties.length > 0 ? (properties as [string, JsonObject][]) : undefined;
}

/** The property that names a line: `name` or `id`, or the first. */
export const namingProperty = (properties: readonly (readonly [string, unknown])[]): string =>
  ['name', 'id'].find((key) => properties.some(([name]) => name === key)) ?? properties[0]?.[0] ?? 'name';

/** Lines that were proposed, then what the team looked at and left out, as far as it fills the schema. */
export function linesOf(field: EditableField, evidence: Evidence): readonly Line[] {
  const properties = lineProperties(field) ?? [];
  const naming = namingProperty(properties);
  const proposed = (Array.isArray(field.proposed) ? field.proposed : []).filter(isObject);
  const known = new Set(proposed.map((line) => line[naming]));
  const others = [...evidence]
    .filter(([name]) => !known.has(name))
    .map(([, found]) => Object.fromEntries(properties.map(([key]) => [key, found[key]])))
    .filter((line): line is JsonObject => Object.values(line).every((value) => value !== undefined && value !== null));
  return [
    ...proposed.map((value) => ({ value, proposed: true })),
    ...others.map((value) => ({ value, proposed: false })),
  ];
}

export interface FormProblem {
  /** Id of the form's element. */
  readonly field: string;
  readonly message: string;
}
export interface FormEdits {
  readonly edits: readonly { readonly path: string; readonly value: Json }[];
  readonly problems: readonly FormProblem[];
}
export type Form = Readonly<Record<string, string | readonly string[] | undefined>>;
const textOf = (form: Form, name: string): string | undefined => {
  const value = form[name];
  return typeof value === 'object' ? value[0] : value;
};
const allOf = (form: Form, name: string): readonly string[] => {
  const value = form[name];
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
};

export const same = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * What a form changes. JSON that was typed wins over the lines beside it. Fields are `e<field>` with the parts `json`,
 * `line` (ticked lines, by number) and `<line>.<property>`.
 */
export function readEdits(
  fields: readonly EditableField[],
  lines: readonly (readonly Line[])[],
  form: Form,
): FormEdits {
  const edits: { path: string; value: Json }[] = [];
  const problems: FormProblem[] = [];
  fields.forEach((field, index) => {
    const typed = textOf(form, `e${index}.json`);
    let value: Json = field.proposed;
    try {
      const parsed = typed === undefined ? field.proposed : (JSON.parse(typed) as Json);
      if (!same(parsed, field.proposed)) value = parsed;
      else if (lineProperties(field)) value = readLines(field, lines[index] ?? [], form, index);
      else value = readSingle(field, textOf(form, `e${index}`));
      if (typeof field.proposed === 'number' && typeof value === 'string')
        problems.push({ field: `e${index}`, message: `${nameOf(field.path)}: this is not a number` });
    } catch {
      problems.push({ field: `e${index}-json`, message: `${nameOf(field.path)}: this is not JSON` });
    }
    if (!same(value, field.proposed)) edits.push({ path: field.path, value });
  });
  return { edits, problems };
}

/** What a pointer leads to, as people say it; places in lists have no name. */
export const nameOf = (pointer: string): string =>
  keyWords(pointer.split('/').findLast((part) => !/^\d*$/.test(part)) ?? 'list');

/** Id of the form's element that a problem at a pointer is about. */
export function elementAt(pointer: string, fields: readonly EditableField[], form: Form): string {
  const index = fields.findIndex(({ path }) => pointer === path || pointer.startsWith(`${path}/`));
  const field = fields[index];
  if (!field) return 'decide';
  const json = `e${index}-json`;
  if (!lineProperties(field)) return typeof field.proposed === 'object' ? json : `e${index}`;
  if (isTyped(field, textOf(form, `e${index}.json`))) return json;
  const place = pointer.slice(field.path.length).split('/')[1];
  const line = allOf(form, `e${index}.line`)[Number(place)];
  return place === undefined || line === undefined ? `e${index}` : `e${index}-${line}`;
}
function isTyped({ proposed }: EditableField, typed: string | undefined): boolean {
  try {
    return typed !== undefined && !same(JSON.parse(typed) as Json, proposed);
  } catch {
    return true;
  }
}

function readLines(field: EditableField, lines: readonly Line[], form: Form, index: number): Json {
  const ticked = new Set(allOf(form, `e${index}.line`));
  return lines.flatMap(({ value }, number) =>
    ticked.has(String(number))
      ? [
          Object.fromEntries(
            Object.entries(value).map(([key, old]) => [key, typedAs(old, textOf(form, `e${index}.${number}.${key}`))]),
          ),
        ]
      : [],
  );
}
const typedAs = (old: Json, text: string | undefined): Json => {
  if (text === undefined) return old;
  if (typeof old === 'number') return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
  return typeof old === 'boolean' ? text === 'true' : text.trim();
};
const readSingle = ({ proposed }: EditableField, text: string | undefined): Json =>
  typeof proposed === 'object' ? proposed : typedAs(proposed, text);
