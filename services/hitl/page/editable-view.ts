import type { Json, JsonObject } from '../../../workflows/contracts/json';
import {
  type EditableField,
  type Evidence,
  type Form,
  type Line,
  lineProperties,
  linesOf,
  namingProperty,
} from './editable';
import { foreign, foreignText, hidesSomething, markup, type Html, type Part, visibleJson } from './html';
import { glyph, isRisk, riskMark } from './marks';
import { keyWords, plainText, valueView } from './values';
import { capital, plural } from './words';

const single = (form: Form | undefined, name: string): string | undefined => {
  const value = form?.[name];
  return typeof value === 'object' ? value[0] : value;
};
const lastPart = (path: string): string => path.split('/').at(-1) ?? 'list';

/** The field as lines, as one input, or as JSON; `form` is what was typed before, when it has to be shown again. */
export function editableView(
  field: EditableField,
  index: number,
  evidence: Evidence,
  readOnly: boolean,
  form?: Form,
): Html {
  const lines = lineProperties(field) ? linesOf(field, evidence) : undefined;
  const label = keyWords(lastPart(field.path));
  if (!lines) return markup`<section><h2>${foreign(label)}</h2>${singleView(field, index, readOnly, form)}</section>`;
  const kept = form ? ticked(form, index) : undefined;
  const isOn = (line: Line, number: number): boolean => (kept ? kept.has(String(number)) : line.proposed);
  const on = lines.filter(isOn).length;
  return markup`<section><div class="head"><h2>${foreign(label)} <span class="quiet" data-count>${on} of ${lines.length}</span></h2>${!readOnly && markup`<span class="row small"><span class="quiet">You may take any off or on, and change what is in a field.</span></span>`}</div>
<ul class="ups in">${lines.map((line, number) => lineView(field, index, line, number, isOn(line, number), evidence, readOnly, form))}</ul>
${!readOnly && jsonView(field, index, form)}</section>`;
}

export const ticked = (form: Form, index: number): ReadonlySet<string> => {
  const value = form[`e${index}.line`];
  return new Set(value === undefined ? [] : typeof value === 'string' ? [value] : value);
};

function lineView(
  field: EditableField,
  index: number,
  line: Line,
  number: number,
  on: boolean,
  evidence: Evidence,
  readOnly: boolean,
  form?: Form,
): Html {
  const properties = lineProperties(field) ?? [];
  const naming = namingProperty(properties);
  const name = plainText(line.value[naming]) || `line ${number + 1}`;
  const found = evidence.get(name);
  const id = `e${index}-${number}`;
  const pick = readOnly
    ? glyph(on ? 'done' : 'skipped')
    : markup`<input type="checkbox" id="${id}" name="e${index}.line" value="${number}"${on && markup` checked`}${line.proposed && markup` data-proposed`}>`;
  const others = properties.filter(([key]) => key !== naming);
  const summary = found?.['summary'];
  return markup`<li class="up${on ? '' : ' off'}" data-row data-up><div><span class="pick">${pick}</span>${readOnly ? markup`<b class="name">${foreign(name)}</b>` : markup`<label class="name" for="${id}">${foreign(name)}</label>`}
<span class="ver">${others.map(([key, schema]) => property(key, schema, line, `e${index}.${number}.${key}`, name, found, readOnly, form))}</span>
${isRisk(found?.['risk']) ? riskMark(found['risk']) : markup`<span></span>`}<span class="res">${verdict(found)}</span>
${found && markup`<details class="more"><summary>${foreign(findingWords(summary, line, readOnly))}</summary><div class="in">${valueView(facts(found, naming))}</div></details>`}</div></li>`;
}

function property(
  key: string,
  schema: JsonObject,
  { value }: Line,
  input: string,
  name: string,
  found: JsonObject | undefined,
  readOnly: boolean,
  form?: Form,
): Html {
  const text = single(form, input) ?? plainText(value[key]);
  // `from` is where a value that is called `to` starts.
  const from =
    key === 'to' &&
    typeof found?.['from'] === 'string' &&
    markup`<span class="vh">from </span>${foreign(found['from'])} <span aria-hidden="true">→</span><span class="vh"> to </span>`;
  if (readOnly) return markup`${from}<b>${foreign(text)}</b>`;
  const choices = Array.isArray(schema['enum']) ? (schema['enum'] as readonly unknown[]).map(String) : undefined;
  const label = foreignText(`${keyWords(key)} of ${name}`);
  return choices
    ? markup`${from}<select name="${input}" aria-label="${label}" data-was="${plainText(value[key])}">${choices.map((choice) => markup`<option value="${choice}"${choice === text && markup` selected`}>${foreignText(choice)}</option>`)}</select>`
    : markup`${from}<input type="text" name="${input}" aria-label="${label}" value="${text}" data-was="${plainText(value[key])}" autocomplete="off" spellcheck="false">${hidden(text)}`;
}

/** An input shows its value as it is; what that hides is told beside it. */
const hidden = (text: string): Part =>
  hidesSomething(text) && markup`<span class="small">reads ${foreign(text)}</span>`;

function findingWords(summary: Json | undefined, { proposed }: Line, readOnly: boolean): string {
  const words = typeof summary === 'string' && summary !== '' ? summary : 'what the team found';
  return proposed ? capital(words) : `${readOnly ? 'Left out' : 'Left out by the team'}: ${words}`;
}

/** `passed` is the word for a check; what else was found stands in the details. */
function verdict(found: JsonObject | undefined): Part {
  if (typeof found?.['passed'] !== 'boolean') return undefined;
  return found['passed'] ? markup`${glyph('done')}tests pass` : markup`${glyph('failed')}tests fail`;
}
const told = ['risk', 'passed', 'summary'];
const facts = (found: JsonObject, naming: string): JsonObject =>
  Object.fromEntries(
    Object.entries(found).filter(
      ([key, value]) => key !== naming && !told.includes(key) && value !== '' && value !== null,
    ),
  );

function singleView(field: EditableField, index: number, readOnly: boolean, form?: Form): Html {
  const { proposed } = field;
  if (readOnly) return markup`<div class="in">${valueView(proposed)}</div>`;
  if (typeof proposed === 'object') return jsonView(field, index, form, true);
  const label = markup`<label for="e${index}">${foreign(keyWords(lastPart(field.path)))}</label>`;
  const text = single(form, `e${index}`) ?? String(proposed);
  return typeof proposed === 'boolean'
    ? markup`<div class="field">${label}<select id="e${index}" name="e${index}" data-edit data-was="${String(proposed)}"><option value="true"${text === 'true' && markup` selected`}>yes</option><option value="false"${text === 'false' && markup` selected`}>no</option></select></div>`
    : markup`<div class="field">${label}<input type="text" id="e${index}" name="e${index}" value="${text}" data-edit data-was="${String(proposed)}">${hidden(text)}</div>`;
}

function jsonView(field: EditableField, index: number, form?: Form, open = false): Html {
  const text = single(form, `e${index}.json`) ?? visibleJson(field.proposed);
  return markup`<details class="more in"${open && markup` open`}><summary>Write it as JSON instead</summary><div class="in field"><label for="e${index}-json">JSON of ${plural(Array.isArray(field.proposed) ? field.proposed.length : 1, 'line')}</label><span class="hint" id="e${index}-json-h">What you change here wins over the lines above.</span><textarea class="mono" id="e${index}-json" name="e${index}.json" rows="6" spellcheck="false" aria-describedby="e${index}-json-h">${text}</textarea></div></details>`;
}
