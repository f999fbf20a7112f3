import type { Problem, ValidatePlanResponse } from '../../../proto/aats/project/v1/project_pb';
import type { Json, JsonObject } from '../../../workflows/contracts/json';
import type { PlanDefinition } from '../../../workflows/contracts/plan-definition';
import type { Form, FormProblem } from './editable';
import { proofField } from './frame';
import { foreign, markup, type Html, type Part, visibleJson } from './html';
import { command, glyph, note } from './marks';
import { control, hintOf, isTextList, typeOf } from './schema-control';
import { keyWords, plainText } from './values';
import { list, plural, whoWords } from './words';

export interface StartPage {
  readonly proof: string;
  /** The plan as its author wrote it. */
  readonly text: string;
  /** Absent as long as there is no plan that could be started. */
  readonly plan?: PlanDefinition | undefined;
  /** The same for the same form, so that a second press starts nothing more. */
  readonly planId: string;
  /** What was typed. */
  readonly form: Form;
  readonly problems: readonly Problem[];
  readonly wrong: readonly FormProblem[];
  /** What the engine says would happen; nothing was started. */
  readonly preview?: ValidatePlanResponse | undefined;
}

const inputId = (name: string): string => `i-${name}`;
const text = (form: Form, name: string): string | undefined => {
  const value = form[name];
  return typeof value === 'object' ? value[0] : value;
};

export function startMain(page: StartPage): Html {
  const { plan } = page;
  const title = plan ? foreign(plan.title) : 'Start a plan';
  const about = plan
    ? (plan.description ?? 'The form is made from what the plan says of its inputs.')
    : 'Paste a plan as YAML or JSON. It is read and checked; nothing starts before you have seen what would happen.';
  return markup`<nav class="crumbs" aria-label="Where you are"><a href="/plans">Plans</a><span aria-hidden="true">/</span><span>Start</span></nav><div class="head"><div><h1>${title}</h1><p>${foreign(about)}</p></div></div>${problemNote(page)}${plan ? inputsForm(page, plan) : textForm(page)}`;
}

function problemNote({ problems, wrong }: StartPage): Part {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const lines = [
    ...wrong.map(({ field, message }) => markup`<li><a href="#${field}">${foreign(message)}</a></li>`),
    ...errors.map(
      ({ line, message, pointer }) =>
        markup`<li><a href="#plan">${line > 0 && `Line ${line}: `}${foreign(message)}</a> <span class="quiet mono small">${foreign(pointer)}</span></li>`,
    ),
  ];
  if (lines.length === 0) return undefined;
  return note(
    'bad',
    `Not started: ${lines.length === 1 ? 'one thing needs' : `${lines.length} things need`} you`,
    markup`<ul>${lines.slice(0, 50)}</ul>${lines.length > 50 && markup`<p>and ${lines.length - 50} more</p>`}`,
  );
}

const textForm = ({ proof, text: source, problems }: StartPage): Html =>
  markup`<form method="post" action="/start" class="in">${proofField(proof)}<div class="field"><label for="plan">The plan</label><span class="hint" id="plan-h">The text of a file such as my.plan.yaml, at most 1 MiB.</span><textarea class="mono" id="plan" name="plan" rows="18" spellcheck="false" required aria-describedby="plan-h"${problems.length > 0 && markup` aria-invalid="true"`}>${source}</textarea></div><div class="row in"><button class="btn primary" name="do" value="read">Read it</button></div></form>`;

function inputsForm(page: StartPage, plan: PlanDefinition): Html {
  const { proof, form, wrong, planId, preview } = page;
  const inputs = Object.entries(plan.inputs);
  return markup`<form method="post" action="/start" class="cols in">${proofField(proof)}<input type="hidden" name="planId" value="${planId}"><div class="stack">${inputs.length === 0 && markup`<p class="soft">This plan asks for nothing.</p>`}${inputs.map(([name, schema]) => inputField(name, schema, form, wrong))}<div class="row"><button class="btn primary" name="do" value="start">Start</button><button class="btn" name="do" value="dry">Only show what would happen</button></div>
<details class="more in"><summary>The plan itself, ${plural(plan.tasks.length, 'task')}</summary><div class="in field"><label for="plan">Text</label><span class="hint" id="plan-h">What you change here is read anew.</span><textarea class="mono" id="plan" name="plan" rows="18" spellcheck="false" aria-describedby="plan-h">${page.text}</textarea></div></details>
<details class="more"><summary>Copy as CLI</summary><div class="in">${command('start it, CLI', `aats plan start ${plan.name}.plan.yaml --id ${planId}`)}</div></details></div>
<aside aria-label="What would happen"><section class="side" id="would"><h2>What would happen</h2>${preview ? wouldHappen(preview, page) : markup`<p class="small soft">Press “Only show what would happen”: the engine that runs plans tells it, and starts nothing.</p>`}</section></aside></form>`;
}

function wouldHappen(
  { taskCount, layers, criticalPath, gates, problems }: ValidatePlanResponse,
  page: StartPage,
): Html {
  const lacking = problems.filter(({ code }) => code === 'UNKNOWN_CAPABILITY');
  const others = problems.filter(({ severity, code }) => severity !== 'error' && code !== 'UNKNOWN_CAPABILITY');
  const titleOf = (id: string): string => page.plan?.tasks.find((task) => task.id === id)?.title ?? id;
  const row = (name: string, value: Part): Html => markup`<li><span>${name}</span><span>${value}</span></li>`;
  return markup`<p class="small soft">Checked by the engine itself, nothing was started.</p><ul class="ledger in">${row('Tasks', `${taskCount}${page.plan?.tasks.some(({ forEach }) => forEach) === true ? ', more where a list makes them' : ''}`)}${row('Layers', `${layers.length}, one after the other`)}${row('Longest way', plural(criticalPath.length, 'task'))}${row('People', gates.length === 0 ? 'nobody is asked' : gates.map(({ title, taskId, by }, index) => markup`${index > 0 && markup`<br>`}${foreign(title || titleOf(taskId))}: ${list(by.map(whoWords), 'or')}`))}${row('Agents', lacking.length === 0 ? 'all kinds are there' : `${plural(lacking.length, 'kind')} missing now`)}</ul>${[...lacking, ...others].slice(0, 20).map(({ message, line }) => markup`<p class="small soft">${line > 0 && `Line ${line}: `}${foreign(message)}</p>`)}`;
}

function inputField(name: string, schema: JsonObject, form: Form, wrong: readonly FormProblem[]): Html {
  const id = inputId(name);
  const problem = wrong.find(({ field }) => field === id);
  const optional = schema['default'] !== undefined;
  const fallback = schema['default'];
  const start =
    text(form, `i.${name}`) ??
    (fallback === undefined
      ? ''
      : isTextList(schema)
        ? (fallback as readonly Json[]).map(plainText).join('\n')
        : typeof fallback === 'object'
          ? visibleJson(fallback)
          : plainText(fallback));
  const hint = hintOf(schema);
  const described = [hint !== undefined && `${id}-h`, problem && `${id}-e`].filter(Boolean).join(' ');
  const attributes = markup`id="${id}" name="i.${name}"${described !== '' && markup` aria-describedby="${described}"`}${problem && markup` aria-invalid="true"`}`;
  return markup`<div class="field"><label for="${id}">${foreign(plainText(schema['title']) || keyWords(name))}${optional && markup` <span class="quiet">(optional)</span>`}</label>${hint !== undefined && markup`<span class="hint" id="${id}-h">${foreign(hint)}</span>`}${control(schema, start, attributes)}${problem && markup`<p class="err" id="${id}-e">${glyph('failed')}<span>${foreign(problem.message)}</span></p>`}</div>`;
}

/** What the form gives as inputs; a field that was left empty is not given, so its default counts. */
export function readInputs(
  plan: PlanDefinition,
  form: Form,
): { readonly inputs: JsonObject; readonly wrong: readonly FormProblem[] } {
  const inputs: Record<string, Json> = {};
  const wrong: FormProblem[] = [];
  for (const [name, schema] of Object.entries(plan.inputs)) {
    const typed = text(form, `i.${name}`) ?? '';
    if (typed.trim() === '') continue;
    const kind = typeOf(schema);
    const value = typedInput(schema, typed);
    if (value === undefined)
      wrong.push({
        field: inputId(name),
        message: `${keyWords(name)}: ${kind === 'integer' || kind === 'number' ? 'this is not a number' : 'this is not JSON'}`,
      });
    else inputs[name] = value;
  }
  return { inputs, wrong };
}

function typedInput(schema: JsonObject, typed: string): Json | undefined {
  const choices = Array.isArray(schema['enum']) ? (schema['enum'] as readonly Json[]) : undefined;
  if (choices) return choices.find((one) => plainText(one) === typed) ?? typed;
  switch (typeOf(schema)) {
    case 'string':
      return typed;
    case 'boolean':
      return typed === 'true';
    case 'integer':
    case 'number':
      return Number.isFinite(Number(typed)) ? Number(typed) : undefined;
    default:
      if (isTextList(schema))
        return typed
          .split('\n')
          .map((line) => line.trim())
          .filter((line) => line !== '');
      try {
        return JSON.parse(typed) as Json;
      } catch {
        return undefined;
      }
  }
}

/** Problems of the inputs stand at their fields. */
export const inputProblems = (problems: readonly Problem[]): readonly FormProblem[] =>
  problems
    .filter(({ severity, pointer }) => severity === 'error' && pointer.startsWith('/inputs'))
    .map(({ pointer, message }) => {
      const name = /^\/inputs\/([^/]+)/.exec(pointer)?.[1] ?? /input "([^"]+)"/.exec(message)?.[1] ?? '';
      return { field: inputId(name), message };
    });
