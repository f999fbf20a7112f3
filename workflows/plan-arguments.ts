import { type Json, jsonBytes, type JsonObject } from './contracts/json';
import { argumentsLimitBytes } from './contracts/plan';
import {
  type CelScope,
  ExpressionFailure,
  evaluateMap,
  evaluateToText,
  evaluateValue,
  expressionsIn,
  parseExpression,
  referencesOf,
} from './expressions';
import { artifactsIn } from './json-schema';
import { scopeFor } from './plan-scope';
import { definitionOf, type PlanRun, type TaskRun } from './plan-state';

const longestTitle = 300;
/** Stands where a person's own answer will be. */
const fromTheAnswer = 'from the answer';

/**
 * What an attempt is sent with: what people approved, or what the expressions give, which is the same for every
 * attempt because a result is never changed and kept as long as it is read. Throws ExpressionFailure.
 */
export function argumentsOf(run: PlanRun, task: TaskRun): JsonObject {
  if (task.arguments) return task.arguments;
  const template = definitionOf(run, task).with;
  return limited(evaluateMap(template, scopeFor(run, task, [template])));
}

/** Evaluates the title, and notes the artifacts that the arguments name. Throws ExpressionFailure. */
export function describe(run: PlanRun, task: TaskRun, args: JsonObject): void {
  const { title } = definitionOf(run, task);
  const text = evaluateToText(title, scopeFor(run, task, [title])).slice(0, longestTitle);
  if (text !== title) task.title = text;
  noteUsed(task, args);
}

export function noteUsed(task: TaskRun, args: JsonObject): void {
  const used = artifactsIn(args);
  if (used.length > 0) task.used = used;
  else delete task.used;
}

/** Arguments for people to decide about; what comes from their answer is said to. Throws ExpressionFailure. */
export function proposeArguments(run: PlanRun, task: TaskRun): void {
  const template = definitionOf(run, task).with;
  const shown = withoutAnswer(template) as JsonObject;
  task.arguments = limited(evaluateMap(shown, scopeFor(run, task, [shown])));
  describe(run, task, task.arguments);
}

/** After the approval: what was to come from the answer is filled in, all else is as it was approved. */
export function fillAnswer(run: PlanRun, task: TaskRun): void {
  const template = definitionOf(run, task).with;
  task.arguments = limited(fill(template, task.arguments ?? {}, scopeFor(run, task, [template])) as JsonObject);
}

export function limited(args: JsonObject): JsonObject {
  const bytes = jsonBytes(args);
  if (bytes > argumentsLimitBytes)
    throw new ExpressionFailure(
      `the arguments have ${bytes} bytes, more than ${argumentsLimitBytes}; pass large things as artifacts`,
    );
  return args;
}

const readsAnswer = (text: string): boolean =>
  expressionsIn(text).some(({ source }) =>
    referencesOf(parseExpression(source).ast).some(({ variable }) => variable === 'approval'),
  );
/** Whether any text in it takes something from people's answer. */
export const readsAnswerIn = (template: Json): boolean =>
  typeof template === 'string'
    ? readsAnswer(template)
    : typeof template === 'object' && template !== null && Object.values(template).some(readsAnswerIn);
const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
const isMap = (value: Json): value is JsonObject => typeof value === 'object' && value !== null && !isList(value);

function withoutAnswer(template: Json): Json {
  if (typeof template === 'string') return readsAnswer(template) ? fromTheAnswer : template;
  if (isList(template)) return template.map(withoutAnswer);
  if (isMap(template))
    return Object.fromEntries(Object.entries(template).map(([key, one]) => [key, withoutAnswer(one)]));
  return template;
}

function fill(template: Json | undefined, value: Json, scope: CelScope): Json {
  if (typeof template === 'string') return readsAnswer(template) ? evaluateValue(template, scope) : value;
  if (template === undefined) return value;
  if (isList(template) && isList(value)) return value.map((one, index) => fill(template[index], one, scope));
  if (isMap(template) && isMap(value))
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(template[key], one, scope)]));
  return value;
}
