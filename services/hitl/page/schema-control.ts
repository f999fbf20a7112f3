import type { Json, JsonObject } from '../../../workflows/contracts/json';
import { foreign, markup, type Html } from './html';
import { isObject, plainText } from './values';
import { capital } from './words';

export const typeOf = (schema: JsonObject): string => plainText(schema['type']);
export const isTextList = (schema: JsonObject): boolean =>
  typeOf(schema) === 'array' && isObject(schema['items']) && typeOf(schema['items']) === 'string';

/** What may be written there, in words. */
export function hintOf(schema: JsonObject): string | undefined {
  const own = plainText(schema['description']);
  const [least, most] = [schema['minimum'], schema['maximum']];
  const range =
    least !== undefined && most !== undefined
      ? `${plainText(least)} to ${plainText(most)}.`
      : least !== undefined
        ? `At least ${plainText(least)}.`
        : most !== undefined
          ? `At most ${plainText(most)}.`
          : '';
  const kind =
    schema['format'] === 'artifact'
      ? 'A document that was stored before: what “aats artifact put FILE --json” prints.'
      : isTextList(schema)
        ? 'One a line.'
        : ['object', 'array', ''].includes(typeOf(schema)) && !Array.isArray(schema['enum'])
          ? 'As JSON.'
          : '';
  const all = [own, range, kind].filter((one) => one !== '').join(' ');
  return all === '' ? undefined : capital(all);
}

/** The form's element for a value of a schema. */
export function control(schema: JsonObject, value: string, attributes: Html): Html {
  const choices = Array.isArray(schema['enum']) ? (schema['enum'] as readonly Json[]).map(plainText) : undefined;
  const options = choices ?? (typeOf(schema) === 'boolean' ? ['true', 'false'] : undefined);
  if (options)
    // What is none of the choices stays chosen until somebody changes it.
    return markup`<select ${attributes}>${!options.includes(value) && markup`<option value="${value}">${value === '' ? 'Choose' : foreign(value)}</option>`}${options.map((one) => markup`<option value="${one}"${one === value && markup` selected`}>${choices ? foreign(one) : one === 'true' ? 'yes' : 'no'}</option>`)}</select>`;
  if (['integer', 'number'].includes(typeOf(schema)))
    return markup`<input type="text" inputmode="decimal" ${attributes} value="${value}" autocomplete="off">`;
  if (typeOf(schema) === 'string') return markup`<input type="text" ${attributes} value="${value}" autocomplete="off">`;
  return markup`<textarea ${isTextList(schema) ? '' : markup`class="mono" `}${attributes} rows="3" spellcheck="false">${value}</textarea>`;
}
