import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Document,
  type ParsedNode,
  type Scalar,
} from 'yaml';
import type { Json } from '../../workflows/contracts/json';
import { escapePointer, type Problem } from '../../workflows/plan-problems';

export interface ParsedSource {
  /** Undefined when the text is no document at all. */
  readonly value: Json | undefined;
  readonly problems: readonly Problem[];
  /** Line of a place; of something missing, the nearest that holds it. */
  lineOf(pointer: string): number;
  /** A scalar as its author spelled it. */
  sourceOf(pointer: string): string | undefined;
}

const maxAliases = 100;
/** As much as a plan may have in all: aliases of aliases make a short text long. */
const maxWrittenOut = 1024 * 1024;

/** Of the pointers to everything in a plan together: a long key stands in each of those under it. */
const maxPlaces = 64 * 1024 * 1024;

/** Reads YAML 1.2 (core schema, one document, no tags, no merge keys) or JSON, which is a part of it. */
export function readPlanSource(text: string): ParsedSource {
  const tooDeep = lineTooDeep(text);
  if (tooDeep !== undefined)
    return unread('TOO_LARGE', tooDeep, `More than ${maxOpen} brackets are open at once; a plan is never that deep.`);
  const directive = lineOfDirective(text);
  if (directive !== undefined)
    return unread('SYNTAX', directive, 'A line that begins with % is a directive; leave it out: a plan is YAML 1.2.');
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: false,
    intAsBigInt: true,
    prettyErrors: true,
    logLevel: 'silent',
  });
  const list: Document.Parsed[] = Array.isArray(documents) ? documents : [];
  const problems: Problem[] = [];
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const error = (code: Problem['code'], pointer: string, line: number, message: string): void =>
    void problems.push({ severity: 'error', code, pointer, line, message });
  const [document] = list;
  if (!document || document.contents === null) {
    error('SYNTAX', '', 1, 'The text is empty; a plan is a map with name and tasks.');
    return { value: undefined, problems, lineOf: () => 1, sourceOf: () => undefined };
  }
  if (list.length > 1)
    error('SYNTAX', '', lineAt(list[1]?.range[0] ?? 0), 'There is more than one document; a file holds one plan.');
  // A tag that is not known is only a warning to the parser; here every one is an error.
  const said = new Set<string>();
  for (const { message, pos } of [...document.errors, ...document.warnings]) {
    const [line, words] = [lineAt(pos[0]), sentence(message)];
    if (!said.has(`${line} ${words}`)) error('SYNTAX', '', line, words);
    said.add(`${line} ${words}`);
  }
  const { aliases, characters, places } = checkNodes(document.contents, (offset, message) => {
    error('SYNTAX', '', lineAt(offset), message);
  });
  if (places > maxPlaces) return unread('TOO_LARGE', 1, 'Keys are too long for what stands under them; shorten them.');
  if (aliases > maxAliases) error('TOO_LARGE', '', 1, `There are ${aliases} aliases, more than ${maxAliases}.`);
  if (characters > maxWrittenOut)
    error(
      'TOO_LARGE',
      '',
      1,
      'With its aliases written out the plan has more than 1 MiB; put what is large into artifacts.',
    );
  const nodes = new Map<string, ParsedNode>();
  index(document.contents, '', nodes, (pointer, key, offset) => {
    error('DUPLICATE_KEY', pointer, lineAt(offset), `The key "${key}" stands twice in this map; keep one.`);
  });
  const lineOf = (pointer: string): number => {
    for (let at = pointer; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const node = nodes.get(at);
      if (node) return lineAt(node.range[0]);
      if (at === '') return 1;
    }
  };
  const keyLines = keyOffsets(document.contents);
  const hasSyntax = problems.some(({ code }) => code === 'SYNTAX' || code === 'TOO_LARGE');
  for (const [pointer, node] of nodes) if (isScalar(node)) checkScalar(node, pointer, lineAt, problems);
  return {
    value: hasSyntax ? undefined : (plain(document.toJS({ maxAliasCount: -1 })) as Json),
    problems,
    lineOf: (pointer) => {
      const key = keyLines.get(pointer);
      return key === undefined ? lineOf(pointer) : lineAt(key);
    },
    sourceOf: (pointer) => {
      const node = nodes.get(pointer);
      return node && isScalar(node) ? node.source : undefined;
    },
  };
}

const unread = (code: Problem['code'], line: number, message: string): ParsedSource => ({
  value: undefined,
  problems: [{ severity: 'error', code, pointer: '', line, message }],
  lineOf: () => 1,
  sourceOf: () => undefined,
});

/** One would bring back YAML 1.1, and the parser takes minutes for a hundred thousand of them. */
function lineOfDirective(text: string): number | undefined {
  const places = [...text.matchAll(/(?:^\ufeff?|\n)(%[^\n]*)/g)];
  const wrong = places.find(([, line = ''], at) => at > 0 || !/^%YAML\s+1\.2\s*$/.test(line));
  return wrong && text.slice(0, wrong.index + 1).split('\n').length;
}

/** Tags, keys that are no texts, and aliases that lead nowhere or back; and how long all is with aliases written out. */
function checkNodes(
  root: ParsedNode,
  error: (offset: number, message: string) => void,
): { readonly aliases: number; readonly characters: number; readonly places: number } {
  let aliases = 0;
  // Of an anchor that is still open the weight is not known: what it names is being read.
  const anchors = new Map<string, number | undefined>();
  let places = 0;
  const weigh = (node: ParsedNode | null, place = 0): number => {
    places += place;
    if (!node) return 1;
    if (isAlias(node)) {
      aliases += 1;
      const weight = anchors.get(node.source);
      if (!anchors.has(node.source)) error(node.range[0], `There is no anchor &${node.source} before this alias.`);
      else if (weight === undefined) error(node.range[0], `&${node.source} holds itself; write that part out.`);
      return weight ?? 1;
    }
    if (node.tag !== undefined)
      error(node.range[0], 'A plan has no tags; put a text in quotes, write numbers plainly.');
    if (node.anchor !== undefined) anchors.set(node.anchor, undefined);
    let weight = isScalar(node) && typeof node.value === 'string' ? node.value.length : 1;
    if (isSeq(node)) for (const one of node.items) weight += weigh(one, place + 8);
    if (isMap(node))
      for (const { key, value } of node.items) {
        if (!isScalar(key) || key.value === null) error(node.range[0], 'A key of a map is a text.');
        else if (key.type === 'PLAIN' && key.source === '<<')
          error(key.range[0], 'There are no merge keys (<<); write these fields out, or quote the key.');
        const length = isScalar(key) ? String(key.value).length : 1;
        weight += (isScalar(key) ? weigh(key) : 1) + weigh(value, place + length + 1);
      }
    if (node.anchor !== undefined) anchors.set(node.anchor, weight);
    return weight;
  };
  const characters = weigh(root);
  return { aliases, characters, places };
}

const maxOpen = 500;
/** The parser calls itself for each bracket and would exhaust the stack; brackets in texts may count, closed ones do not. */
function lineTooDeep(text: string): number | undefined {
  let open = 0;
  let line = 1;
  for (const character of text) {
    if (character === '\n') line += 1;
    else if (character === '[' || character === '{') open += 1;
    else if ((character === ']' || character === '}') && open > 0) open -= 1;
    if (open > maxOpen) return line;
  }
  return undefined;
}

/** Bigints are how whole numbers come; those that fit become numbers, others stand as they can. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
  return value;
}

function index(
  node: ParsedNode | null,
  pointer: string,
  nodes: Map<string, ParsedNode>,
  duplicate: (pointer: string, key: string, offset: number) => void,
): void {
  if (!node) return;
  nodes.set(pointer, node);
  if (isMap(node)) {
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const inside = `${pointer}/${escapePointer(name)}`;
      if (seen.has(name)) duplicate(inside, name, (key as Node).range?.[0] ?? 0);
      seen.add(name);
      index(value, inside, nodes, duplicate);
    }
  } else if (isSeq(node))
    node.items.forEach((one, at) => {
      index(one, `${pointer}/${at}`, nodes, duplicate);
    });
}

/** Where the keys stand: the line of a field is that of its name. */
function keyOffsets(
  node: ParsedNode | null,
  pointer = '',
  found = new Map<string, number>(),
): ReadonlyMap<string, number> {
  if (node && isMap(node)) {
    for (const { key, value } of node.items) {
      const inside = `${pointer}/${escapePointer(isScalar(key) ? String(key.value) : '')}`;
      found.set(inside, (key as Node).range?.[0] ?? 0);
      keyOffsets(value, inside, found);
    }
  } else if (node && isSeq(node)) node.items.forEach((one, at) => void keyOffsets(one, `${pointer}/${at}`, found));
  return found;
}

const ambiguous = /^(?:y|yes|n|no|on|off|[0-9]{1,2}:[0-9]{2}|0[0-9]+)$/i;

function checkScalar(
  node: Scalar.Parsed,
  pointer: string,
  lineAt: (offset: number) => number,
  problems: Problem[],
): void {
  const { value, source, type } = node;
  const line = lineAt(node.range[0]);
  const isExact =
    typeof value === 'bigint'
      ? value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
      : typeof value !== 'number' || Number.isFinite(value);
  if (!isExact)
    problems.push({
      severity: 'error',
      code: 'BAD_VALUE',
      pointer,
      line,
      message: `The number ${source} cannot be held exactly; put it in quotes if it is a text.`,
    });
  else if (type === 'PLAIN' && ambiguous.test(source) && source !== '0')
    problems.push({
      severity: 'warning',
      code: 'AMBIGUOUS_SCALAR',
      pointer,
      line,
      message: `${source} is read differently by other tools; put it in quotes if it is a text.`,
    });
}

const sentence = (message: string): string => {
  if (message.includes('call stack')) return 'This is nested more deeply than a plan can be.';
  const first = (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');
  const hint = /nested mappings|compact mappings|implicit map key|flow/i.test(first)
    ? ' A text with ": ", " #" or brackets needs quotes.'
    : '';
  return `${first}.${hint}`.replace('..', '.');
};
