/** What is wrong with a plan, or may be; the sentence carries the remedy (docs/plans.md, "Problems"). */
export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly code: ProblemCode;
  /** RFC 6901; of a missing field, its parent. */
  readonly pointer: string;
  /** From 1; 0 when the plan did not come as text. */
  readonly line: number;
  readonly message: string;
}
export type ProblemCode =
  | 'SYNTAX'
  | 'DUPLICATE_KEY'
  | 'UNKNOWN_FIELD'
  | 'MISSING_FIELD'
  | 'WRONG_TYPE'
  | 'BAD_VALUE'
  | 'CONFLICT'
  | 'TOO_LARGE'
  | 'NOT_SERVED'
  | 'MISPLACED_FIELD'
  | 'DUPLICATE_ID'
  | 'UNKNOWN_TASK'
  | 'UNKNOWN_PLAN'
  | 'MISSING_NEED'
  | 'CYCLE'
  | 'BAD_EXPRESSION'
  | 'UNKNOWN_VARIABLE'
  | 'UNKNOWN_PROPERTY'
  | 'EXPRESSION_TYPE'
  | 'EXPRESSION_REQUIRED'
  | 'EXPRESSION_NOT_ALLOWED'
  | 'BAD_SCHEMA'
  | 'SCHEMA_MISMATCH'
  | 'UNSAFE_APPROVAL'
  | 'UNKNOWN_WHO'
  | 'NO_APPROVER'
  | 'UNKNOWN_CAPABILITY'
  | 'LOOKS_LIKE_EXPRESSION'
  | 'SECRET_IN_TEXT'
  | 'AMBIGUOUS_SCALAR';

export interface ProblemList {
  error(code: ProblemCode, pointer: string, message: string): void;
  warning(code: ProblemCode, pointer: string, message: string): void;
  /** All so far, ordered by line. */
  all(): readonly Problem[];
  /** Whether something was said about this place or one inside it. */
  touches(pointer: string): boolean;
}

export function createProblemList(lineOf: (pointer: string) => number): ProblemList {
  const found: Problem[] = [];
  const told = new Set<string>();
  // One expression may name a thing several times: that is one problem.
  const add =
    (severity: Problem['severity']) =>
    (code: ProblemCode, pointer: string, message: string): void => {
      const words = message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message;
      const key = `${pointer} ${words}`;
      if (told.has(key)) return;
      told.add(key);
      found.push({ severity, code, pointer, line: lineOf(pointer), message: words });
    };
  return {
    error: add('error'),
    warning: add('warning'),
    all: () =>
      found
        .map((problem, index) => ({ problem, index }))
        .sort((a, b) => a.problem.line - b.problem.line || a.index - b.index)
        .map(({ problem }) => problem),
    touches: (pointer) => found.some((one) => one.pointer === pointer || one.pointer.startsWith(`${pointer}/`)),
  };
}

/** What authors wrote is quoted, and may be long. */
const longestMessage = 1000;

export const escapePointer = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

/** No name is longer, and comparing takes the product of both lengths. */
const longestWord = 64;

/** The nearest word within an edit distance of a third of the word, if any. */
export function nearest(word: string, words: Iterable<string>): string | undefined {
  if (word.length > longestWord) return undefined;
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const one of words) {
    const distance = editDistance(word.toLowerCase(), one.toLowerCase());
    if (distance < least) [best, least] = [one, distance];
  }
  return best;
}

// Damerau's: two neighbours changed over are one slip, as a typist sees it.
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    const row = rows[i];
    if (!row) continue;
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        value = Math.min(value, at(i - 2, j - 2) + 1);
      row[j] = value;
    }
  }
  return at(a.length, b.length);
}

export const didYouMean = (word: string, words: Iterable<string>): string => {
  const found = nearest(word, words);
  return found === undefined ? '' : `did you mean "${found}"?`;
};
