import type { Json, JsonObject } from '../../../workflows/contracts/json';
import {
  type EditableField,
  type Evidence,
  type Form,
  type FormProblem,
  type Line,
  lineProperties,
  linesOf,
  nameOf,
  namingProperty,
} from './editable';
import { foreign, foreignText, hidesSomething, markup, type Html, type Part, visibleJson } from './html';
import { glyph, isRisk, riskMark } from './marks';
import { control, hintOf } from './schema-control';
import { keyWords, plainText, valueView } from './values';
import { capital, plural } from './words';

const single = (form: Form | undefined, name: string): string | undefined => {
  const value = form?.[name];
  return typeof value === 'object' ? value[0] : value;
};

/** The field as lines, as one input, or as JSON; `form` is what was typed before, when it has to be shown again. */
export function editableView(
  field: EditableField,
  index: number,
  evidence: Evidence,
  readOnly: boolean,
  problems: readonly FormProblem[],
  form?: Form,
): Html {
  const lines = lineProperties(field) ? linesOf(field, evidence) : undefined;
  const label = nameOf(field.path);
  if (!lines) return singleView(field, index, readOnly, form, problems);
  const kept = form ? ticked(form, index) : undefined;
  const isOn = (line: Line, number: number): boolean => (kept ? kept.has(String(number)) : line.proposed);
  const on = lines.filter(isOn).length;
  return markup`<section><div class="head"><h2>${foreign(label)} <span class="quiet" data-count>${on} of ${lines.length}</span></h2>${!readOnly && markup`<span class="row small"><span class="quiet">You may take any off or on, and change what is in a field.</span></span>`}</div>
<ul class="ups in" id="e${index}">${lines.map((line, number) => lineView(field, index, line, number, isOn(line, number), evidence, readOnly, problems, form))}</ul>${problemsOf(`e${index}`, problems)}
${!readOnly && markup`<details class="more in"${problemsOf(`e${index}-json`, problems) && markup` open`}><summary>Write it as JSON instead</summary><div class="in">${jsonView(field, index, `JSON of ${plural(lines.filter(({ proposed }) => proposed).length, 'line')}`, 'What you change here wins over the lines above.', problems, form)}</div></details>`}</section>`;
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
  problems: readonly FormProblem[],
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
${isRisk(found?.['risk']) ? riskMark(found['risk']) : markup`<span></span>`}<span class="res">${verdict(found)}</span>${problemsOf(id, problems)}
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
    ? markup`${from}<select name="${input}" aria-label="${label}" data-was="${plainText(value[key])}">${(choices.includes(text) ? choices : [text, ...choices]).map((choice) => markup`<option value="${choice}"${choice === text && markup` selected`}>${foreignText(choice)}</option>`)}</select>`
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

function singleView(
  field: EditableField,
  index: number,
  readOnly: boolean,
  form: Form | undefined,
  problems: readonly FormProblem[],
): Html {
  const { proposed, schema } = field;
  const label = nameOf(field.path);
  if (readOnly)
    return markup`<div class="field"><span class="lab">${foreign(label)}</span>${valueView(proposed, 1)}</div>`;
  if (typeof proposed === 'object') return jsonView(field, index, label, 'As JSON.', problems, form);
  const id = `e${index}`;
  const text = single(form, id) ?? String(proposed);
  const hint = hintOf({ type: typeof proposed, ...schema });
  const wrong = problemsOf(id, problems);
  const described = [hint !== undefined && `${id}-h`, wrong && `${id}-e`].filter(Boolean).join(' ');
  return markup`<div class="field"><label for="${id}">${foreign(label)}</label>${hint !== undefined && markup`<span class="hint" id="${id}-h">${foreign(hint)}</span>`}${control({ type: typeof proposed, ...schema }, text, markup`id="${id}" name="${id}" data-edit data-was="${String(proposed)}"${described !== '' && markup` aria-describedby="${described}"`}${wrong && markup` aria-invalid="true"`}`)}${hidden(text)}${wrong}</div>`;
}

function jsonView(
  field: EditableField,
  index: number,
  label: string,
  hint: string,
  problems: readonly FormProblem[],
  form?: Form,
): Html {
  const id = `e${index}-json`;
  const text = single(form, `e${index}.json`) ?? visibleJson(field.proposed);
  const wrong = problemsOf(id, problems);
  return markup`<div class="field"><label for="${id}">${foreign(label)}</label><span class="hint" id="${id}-h">${hint}</span><textarea class="mono" id="${id}" name="e${index}.json" rows="6" spellcheck="false" aria-describedby="${id}-h${wrong ? ` ${id}-e` : ''}"${wrong && markup` aria-invalid="true"`}>${text}</textarea>${wrong}</div>`;
}

/** What is wrong, beside the element that it is about. */
function problemsOf(id: string, problems: readonly FormProblem[]): Html | undefined {
  const own = problems.filter(({ field }) => field === id);
  return own.length === 0
    ? undefined
    : markup`<p class="err" id="${id}-e">${glyph('failed')}<span>${foreign(own.map(({ message }) => message).join('; '))}</span></p>`;
}
