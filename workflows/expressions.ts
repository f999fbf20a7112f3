import { Environment, type ASTNode, type ParseResult } from '@marcbachmann/cel-js';
import type { Json, JsonObject } from './contracts/json';
import { createWork, weightOfText } from './expression-work';
import { parseText, soleExpression } from './expression-text';
import { dyn, type PlanType } from './plan-types';

/** Everything an expression may name; nothing else exists: no clock, no chance, no environment, no secrets. */
export const variables = [
  'inputs',
  'tasks',
  'plan',
  'item',
  'index',
  'previous',
  'round',
  'output',
  'approval',
  'event',
] as const;
export type Variable = (typeof variables)[number];

/** A text that cannot be evaluated with this data; the task then fails with `ExpressionFailed`. */
export class ExpressionFailure extends Error {}

// Evaluated with every variable dynamic: a typed one gives records as empty objects. Types are checked before the start.
const limits = { maxAstNodes: 1000, maxDepth: 100, maxListElements: 1000, maxMapEntries: 1000, maxCallArguments: 32 };
const runtime = variables.reduce(
  (environment, name) => environment.registerVariable(name, 'dyn'),
  new Environment({ limits, homogeneousAggregateLiterals: false }),
);
const parsed = new Map<string, ParseResult>();
const work = createWork(runtime);
/** Steps of all expressions that were evaluated so far. */
export const stepsTaken = (): number => work.total();

/** Parses once; throws the library's ParseError. */
export function parseExpression(source: string): ParseResult {
  const known = parsed.get(source);
  if (known) return known;
  const result = runtime.parse(source);
  if (parsed.size > 5000) parsed.clear();
  parsed.set(source, result);
  return result;
}

/** JSON for CEL. A number is what its schema declares; undeclared, whole safe ones are ints and all others doubles. */
export function toCel(value: Json, type: PlanType = dyn): unknown {
  if (typeof value === 'number') return type.is !== 'double' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (isList(value)) {
    const element = type.is === 'list' ? type.of : dyn;
    return value.map((one) => toCel(one, element));
  }
  if (typeof value === 'object' && value !== null) {
    const fields = type.is === 'record' ? type.fields : {};
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, toCel(one, Object.hasOwn(fields, key) ? fields[key] : dyn)]),
    );
  }
  return value;
}
const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

/** CEL's answer as JSON; what JSON cannot hold is an error, never null. A list that holds another twice grows here. */
export function fromCel(value: unknown): Json {
  work.spend(typeof value === 'string' ? 1 + weightOfText(value) : 1);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') {
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))
      throw new ExpressionFailure(`the number ${value.toString()} cannot be held exactly`);
    return Number(value);
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new ExpressionFailure('the result is not a finite number');
    return value;
  }
  if (Array.isArray(value)) return value.map(fromCel);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, one]) => [String(key), fromCel(one)]));
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(
      Object.entries(value as Record<string, unknown>).map(([key, one]) => [key, fromCel(one)]),
    );
  }
  throw new ExpressionFailure('the result is neither a JSON value nor convertible to one');
}

/** A scope whose values were turned into CEL's once, for all expressions of a task. */
export type CelScope = Readonly<Partial<Record<Variable, unknown>>>;

/** Evaluates one expression; throws ExpressionFailure with the source in the message, also when it takes too long. */
export function evaluateExpression(source: string, scope: CelScope): Json {
  try {
    const expression = parseExpression(source);
    return work.within(expression.ast, () => fromCel(expression(scope)));
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new ExpressionFailure(`${shorten(source)}: ${reason}`);
  }
}

/**
 * Every string of a value that holds expressions is replaced by what they give: alone in its string an expression gives
 * its typed value, among text a string. What comes out is never evaluated again.
 */
export function evaluateValue(value: Json, scope: CelScope): Json {
  if (typeof value === 'string') return evaluateText(value, scope);
  if (isList(value)) return value.map((one) => evaluateValue(one, scope));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, evaluateValue(one, scope)]));
  return value;
}
export const evaluateMap = (value: JsonObject, scope: CelScope): JsonObject =>
  evaluateValue(value, scope) as JsonObject;

/** A text of kind *text*: always a string. */
export function evaluateToText(text: string, scope: CelScope): string {
  const value = evaluateText(text, scope);
  return typeof value === 'string' ? value : asText(value, text);
}

function evaluateText(text: string, scope: CelScope): Json {
  if (!text.includes('${{')) return text;
  const sole = soleExpression(text);
  if (sole !== undefined) return evaluateExpression(sole, scope);
  const { parts, unclosedAt } = parseText(text);
  if (unclosedAt !== undefined) throw new ExpressionFailure(`${shorten(text)}: the expression is not closed`);
  return parts
    .map((part) => (part.kind === 'literal' ? part.text : asText(evaluateExpression(part.source, scope), part.source)))
    .join('');
}

function asText(value: Json, source: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new ExpressionFailure(
    `${shorten(source)}: ${value === null ? 'null' : Array.isArray(value) ? 'a list' : 'a map'} cannot stand in a text`,
  );
}
const shorten = (text: string): string => (text.length > 120 ? `${text.slice(0, 117)}…` : text);

/** One thing that an expression reads of a task, or a variable that it names. */
export interface Reference {
  readonly variable: string;
  /** Of `tasks.<id>…`: the id, and the field after it; undefined when computed. */
  readonly task?: string;
  readonly field?: string;
  readonly start: number;
  readonly end: number;
}

/** What an expression names, in the order of the source; variables of its own macros are left out. */
export function referencesOf(ast: ASTNode): readonly Reference[] {
  const found: Reference[] = [];
  visit(ast, new Set(), found);
  return found;
}

const bindingMacros = new Set(['map', 'filter', 'all', 'exists', 'exists_one']);

function visit(node: ASTNode, bound: ReadonlySet<string>, found: Reference[]): void {
  const path = memberPath(node);
  if (path !== undefined) {
    const [variable = '', task, field] = path;
    if (!bound.has(variable))
      found.push({
        variable,
        ...(variable === 'tasks' && task !== undefined && { task, ...(field !== undefined && { field }) }),
        start: node.start,
        end: node.end,
      });
    return;
  }
  if (node.op === 'rcall') {
    const [name, receiver, args] = node.args;
    visit(receiver, bound, found);
    const [first] = args;
    if (bindingMacros.has(name) && first?.op === 'id') {
      const inner = new Set([...bound, first.args]);
      for (const argument of args.slice(1)) visit(argument, inner, found);
      return;
    }
    if (name === 'bind' && receiver.op === 'id' && receiver.args === 'cel' && first?.op === 'id') {
      found.pop(); // `cel` itself is the macro's name
      const [, value, body] = args;
      if (value) visit(value, bound, found);
      if (body) visit(body, new Set([...bound, first.args]), found);
      return;
    }
    for (const argument of args) visit(argument, bound, found);
    return;
  }
  for (const child of childrenOf(node)) visit(child, bound, found);
}

/** `a.b.c` and `a["b"].c` as a list of names; undefined for anything else. */
function memberPath(node: ASTNode): string[] | undefined {
  if (node.op === 'id') return [node.args];
  if (node.op === '.') {
    const path = memberPath(node.args[0]);
    return path && [...path, node.args[1]];
  }
  if (node.op === '[]') {
    const [receiver, key] = node.args;
    const path = memberPath(receiver);
    return path && key.op === 'value' && typeof key.args === 'string' ? [...path, key.args] : undefined;
  }
  return undefined;
}

export function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return [];
    case '.':
    case '.?':
      return [node.args[0]];
    case 'call':
      return node.args[1];
    case 'rcall':
      return [node.args[1], ...node.args[2]];
    case 'list':
      return node.args;
    case 'map':
      return node.args.flat();
    case '?:':
      return node.args;
    case '!_':
    case '-_':
      return [node.args];
    default:
      return node.args;
  }
}

/** Sources of all expressions in a value, with the JSON Pointer of their string. */
export function expressionsIn(
  value: Json,
  pointer = '',
): readonly { readonly source: string; readonly pointer: string; readonly text: string }[] {
  if (typeof value === 'string')
    return value.includes('${{')
      ? parseText(value).parts.flatMap((part) =>
          part.kind === 'expression' ? [{ source: part.source, pointer, text: value }] : [],
        )
      : [];
  if (isList(value)) return value.flatMap((one, index) => expressionsIn(one, `${pointer}/${index}`));
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, one]) =>
      expressionsIn(one, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`),
    );
  return [];
}

/** Ids of the tasks whose state or result these values read. */
export function tasksReadBy(values: readonly Json[]): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const { source } of values.flatMap((value) => expressionsIn(value))) {
    for (const { task } of referencesOf(parseExpression(source).ast)) if (task !== undefined) ids.add(task);
  }
  return ids;
}
