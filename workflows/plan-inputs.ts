import type { Json, JsonObject } from './contracts/json';
import type { PlanDefinition } from './contracts/plan-definition';
import { validateValue } from './json-schema';
import { unkeptMessage, unkeptPlaces } from './plan-values';
import { didYouMean, escapePointer, type Problem } from './plan-problems';

/** The inputs of a plan with defaults filled in, and everything that is wrong with them. */
export function checkInputs(
  { inputs: schemas }: PlanDefinition,
  given: JsonObject,
): { readonly inputs: JsonObject; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const error = (code: Problem['code'], pointer: string, message: string): void =>
    void problems.push({ severity: 'error', code, pointer: `/inputs${pointer}`, line: 0, message });
  const inputs: Record<string, Json> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const value = Object.hasOwn(given, name) ? given[name] : schema['default'];
    if (value === undefined) error('MISSING_FIELD', '', `The plan needs the input "${name}".`);
    else {
      inputs[name] = value;
      for (const at of unkeptPlaces(value)) error('BAD_VALUE', `/${name}${at}`, unkeptMessage);
      for (const { pointer, message } of validateValue(schema, value).slice(0, 5))
        error('SCHEMA_MISMATCH', `/${name}${pointer}`, `The input "${name}" does not fit its schema: ${message}`);
    }
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(schemas, name)) continue;
    const suggestion = didYouMean(name, Object.keys(schemas));
    error(
      'UNKNOWN_FIELD',
      `/${escapePointer(name)}`,
      `The plan has no input "${name}"; ${suggestion === '' ? `its inputs are ${Object.keys(schemas).join(', ') || 'none'}.` : suggestion}`,
    );
  }
  return { inputs, problems };
}
