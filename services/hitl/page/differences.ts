import type { Json, JsonObject } from '../../../workflows/contracts/json';
import { type EditableField, lineProperties, namingProperty, same } from './editable';
import { isObject, plainText } from './values';

export type Difference = readonly [what: string, before: string, now: string];

/** What changed between what a person saw and what is proposed now, line by line where there are lines. */
export function differences(
  fields: readonly EditableField[],
  seen: Readonly<Record<string, Json>>,
): readonly Difference[] {
  return fields.flatMap((field): readonly Difference[] => {
    const before = seen[field.path];
    if (before === undefined || same(before, field.proposed)) return [];
    const properties = lineProperties(field);
    if (!properties) return [[field.path, JSON.stringify(before), JSON.stringify(field.proposed)]];
    const naming = namingProperty(properties);
    const [was, is] = [byName(before, naming), byName(field.proposed, naming)];
    const words = (line: JsonObject | undefined): string =>
      line
        ? Object.entries(line)
            .filter(([key]) => key !== naming)
            .map(([, value]) => plainText(value))
            .join(', ') || 'in the list'
        : 'not in the list';
    return [...new Set([...was.keys(), ...is.keys()])]
      .filter((name) => !same(was.get(name), is.get(name)))
      .map((name) => [name, words(was.get(name)), words(is.get(name))] as const);
  });
}

const byName = (value: Json, naming: string): ReadonlyMap<string, JsonObject> =>
  new Map(
    (Array.isArray(value) ? (value as readonly Json[]) : [])
      .filter(isObject)
      .map((line) => [plainText(line[naming]), line]),
  );
