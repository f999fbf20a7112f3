import { readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import type { Json } from '../../workflows/contracts/json';

/** Exported name to its declaration, white space and comments aside. */
export type PublicNames = ReadonlyMap<string, string>;

/**
 * What a package's type declarations export, by a scan of their text that follows re-exports between its own files.
 * It compares declarations as written: it sees that a name came, went, or is declared differently, and does not
 * judge whether two types mean the same. Undefined when the package ships no declarations.
 */
export async function publicNames(
  folder: string,
  manifest: {
    readonly types: string;
    readonly typings: string;
    readonly main: string;
    readonly exports?: Json | undefined;
  },
  files: readonly string[],
): Promise<PublicNames | undefined> {
  const there = new Set(files);
  const named = [manifest.types, manifest.typings, typesIn(manifest.exports) ?? ''].filter((path) => path !== '');
  const guessed = [
    'index.d.ts',
    'index.d.mts',
    'index.d.cts',
    (manifest.main || 'index.js').replace(/\.[cm]?js$/, '.d.ts'),
  ];
  const entry = [...named, ...guessed].map((path) => normalize(path)).flatMap((path) => resolveIn(there, path))[0];
  if (entry === undefined) return undefined;
  const names = new Map<string, string>();
  await scan(folder, entry, there, names, new Set());
  return names;
}

/** The declarations of the main entry in `exports`: the first `types` condition below `.`. */
function typesIn(exports: Json | undefined): string | undefined {
  if (exports === null || typeof exports !== 'object' || Array.isArray(exports)) return undefined;
  const conditions = exports as { readonly [key: string]: Json };
  if (conditions['.'] !== undefined) return typesIn(conditions['.']);
  const { types } = conditions;
  if (typeof types === 'string') return types;
  for (const [key, value] of Object.entries(conditions)) {
    const found = key.startsWith('.') ? undefined : typesIn(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Paths a relative import of a declaration file may stand for. */
function resolveIn(files: ReadonlySet<string>, path: string): string[] {
  const stem = path.replace(/\.(d\.)?[cm]?[jt]s$/, '');
  const kinds = ['.d.ts', '.d.mts', '.d.cts'];
  const candidates = [path, ...kinds.map((kind) => stem + kind), ...kinds.map((kind) => join(path, `index${kind}`))];
  return candidates.filter((candidate) => files.has(candidate) && /\.d\.[cm]?ts$/.test(candidate));
}

const declared =
  /^(?:declare\s+)?(?:abstract\s+|async\s+)*(?:function\*?|class|const\s+enum|const|let|var|interface|type|enum|namespace|module)\s+([\w$]+)/;

async function scan(
  folder: string,
  file: string,
  files: ReadonlySet<string>,
  names: Map<string, string>,
  seen: Set<string>,
): Promise<void> {
  if (seen.has(file)) return;
  seen.add(file);
  const source = withoutComments(await readFile(join(folder, file), 'utf8'));
  const follow = async (specifier: string, into: Map<string, string>): Promise<void> => {
    const [target] = specifier.startsWith('.') ? resolveIn(files, normalize(join(dirname(file), specifier))) : [];
    if (target !== undefined) await scan(folder, target, files, into, seen);
  };
  for (const statement of exportsOf(source)) {
    const add = (name: string): unknown => names.set(name, [names.get(name), statement].filter(Boolean).join(' '));
    const list = /^(?:type\s+)?\{([^}]*)\}\s*(?:from\s*['"]([^'"]+)['"])?/.exec(statement);
    const star = /^(?:type\s+)?\*\s*(?:as\s+([\w$]+)\s+)?from\s*['"]([^'"]+)['"]/.exec(statement);
    if (star?.[2] !== undefined) {
      // What another package exports is not looked up; that it is passed on is part of the interface all the same.
      if (star[1] === undefined && !star[2].startsWith('.')) add(`* from ${star[2]}`);
      else if (star[1] === undefined) await follow(star[2], names);
      // How the file is written there says nothing about what it exports.
      else names.set(star[1], `* as ${star[1]} from ${star[2].replace(/\.[cm]?[jt]s$/, '')}`);
    } else if (list) {
      const inner = new Map<string, string>();
      if (list[2] !== undefined) await follow(list[2], inner);
      for (const item of (list[1] ?? '').split(',')) {
        const [, local, alias] = /^\s*(?:type\s+)?([\w$]+)(?:\s+as\s+([\w$]+))?\s*$/.exec(item) ?? [];
        if (local === undefined) continue;
        const elsewhere = inner.get(local) ?? declarationOf(source, local);
        names.set(alias ?? local, elsewhere ?? local);
      }
    } else if (/^(default\b|=)/.test(statement)) add(statement.startsWith('=') ? 'module.exports' : 'default');
    else {
      const [, name] = declared.exec(statement) ?? [];
      if (name !== undefined) add(name);
    }
  }
}

/** Statements that follow `export` at the top of a file; each ends where the next top-level statement begins. */
function exportsOf(source: string): string[] {
  return topLevel(source)
    .filter((statement) => /^export\b/.test(statement))
    .map((statement) => statement.replace(/^export\s*/, ''));
}
const declarationOf = (source: string, name: string): string | undefined =>
  topLevel(source).find((statement) => declared.exec(statement.replace(/^export\s+(default\s+)?/, ''))?.[1] === name);

/** Splits declarations at semicolons, closing braces and line ends that stand outside of all brackets. */
function topLevel(source: string): string[] {
  const statements: string[] = [];
  let [depth, from] = [0, 0];
  const next = /^\s*(export|declare|import|interface|type|class|function|const|let|var|enum|namespace|abstract)\b/;
  const cut = (to: number): void => {
    const statement = source.slice(from, to).replace(/\s+/g, ' ').trim();
    if (statement !== '') statements.push(statement);
    from = to;
  };
  for (let at = 0; at < source.length; at++) {
    const sign = source[at] ?? '';
    if ('{(['.includes(sign)) depth += 1;
    else if ('})]'.includes(sign)) depth -= 1;
    else if (sign === ';' && depth === 0) cut(at + 1);
    else if (sign === '\n' && depth === 0 && next.test(source.slice(at, at + 40))) cut(at + 1);
  }
  cut(source.length);
  return statements;
}

/** Comments go; strings stay whole, so that `"//"` in one does not begin a comment. */
function withoutComments(source: string): string {
  return source.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, kept: string | undefined) => kept ?? '',
  );
}
