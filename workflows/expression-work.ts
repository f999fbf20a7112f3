import type { ASTNode, Environment } from '@marcbachmann/cel-js';

/**
 * Steps of one expression: parts of it that are evaluated, and elements and pieces of text that these go through. All of
 * them take a fraction of a second, where the SDK gives a workflow five; a loop in a loop over 300 elements each fits.
 */
export const mostSteps = 1_000_000;
const textPiece = 256;

/** What the library evaluates with; it hands it to functions as `this`. */
interface Evaluator {
  run(
    node: ASTNode & { evaluate(evaluator: Evaluator, node: ASTNode, scope: unknown): unknown },
    scope: unknown,
  ): unknown;
}

/** Macros count their elements by what they evaluate for each; the size of a list is known. */
const macros = new Set(['map', 'filter', 'all', 'exists', 'exists_one', 'bind', 'has', 'size']);
const comparing = new Set(['==', '!=', 'in']);
/** How a part goes through what it is given: comparisons to the ground, others over the elements, most not at all. */
type Way = 'deep' | 'flat' | 'none';
function wayOf({ op, args }: ASTNode): Way {
  if (comparing.has(op)) return 'deep';
  if (op === '+') return 'flat';
  return (op === 'call' || op === 'rcall') && !macros.has(args[0]) ? 'flat' : 'none';
}

export const weightOfText = (text: string): number => Math.floor(text.length / textPiece);

export class TooMuchWork extends Error {
  constructor() {
    super(`it takes more than ${mostSteps} steps; do a part of it in a task`);
  }
}

/**
 * Counts the steps of expressions, the same in every replay. The library has no limit of this kind: each part of an
 * expression is evaluated through its evaluator's `run`, which is counted here.
 */
export function createWork(environment: Environment): {
  /** Throws TooMuchWork when it did too much, also when an operator swallowed that. */
  within<T>(ast: ASTNode, evaluate: () => T): T;
  spend(steps: number): void;
  /** Steps of all expressions so far. */
  total(): number;
} {
  let steps = 0;
  let before = 0;
  /** How the part around the one that is evaluated goes through it. */
  let outer: Way = 'none';
  const weights = new WeakMap<object, number>();
  const spend = (more: number): void => {
    steps += more;
    if (steps > mostSteps) throw new TooMuchWork();
  };
  const weigh = (value: unknown, way: Way): number => {
    if (typeof value === 'string') return weightOfText(value);
    if (typeof value !== 'object' || value === null) return 0;
    if (way === 'flat') return Array.isArray(value) ? value.length : Object.keys(value).length;
    const known = weights.get(value);
    if (known !== undefined) return known;
    const parts: readonly unknown[] = Object.values(value);
    let weight = parts.length;
    for (const one of parts) weight += weigh(one, way);
    weights.set(value, weight);
    return weight;
  };
  const evaluator = evaluatorOf(environment);
  evaluator.run = function (node, scope) {
    spend(1);
    const [around, own] = [outer, wayOf(node)];
    outer = own;
    try {
      const value = node.evaluate(this, node, scope);
      if (around !== 'none') spend(weigh(value, around));
      // What it made: joining may give far more than it was given.
      if (own === 'flat') spend(weigh(value, own));
      return value;
    } finally {
      outer = around;
    }
  };
  return {
    spend,
    total: () => before + steps,
    within(ast, evaluate) {
      before += steps;
      steps = 0;
      outer = wayOf(ast);
      const result = evaluate();
      if (steps > mostSteps) throw new TooMuchWork();
      return result;
    },
  };
}

function evaluatorOf(environment: Environment): Evaluator {
  const found: Evaluator[] = [];
  environment.registerFunction('aatsEvaluator(): bool', function (this: Evaluator) {
    found.push(this);
    return true;
  });
  environment.evaluate('aatsEvaluator()');
  const [evaluator] = found;
  if (!evaluator) throw new Error('the evaluator of expressions is not known');
  return evaluator;
}
