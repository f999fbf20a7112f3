import type { Json, JsonObject } from './contracts/json';
import { soleExpression } from './expression-text';
import { checkSource } from './plan-expression-check';
import { memberType } from './plan-member-type';
import { didYouMean, type ProblemList } from './plan-problems';
import { dyn, type PlanType, typeOfSchema } from './plan-types';
import { idPattern, isArray, isObject } from './plan-values';

/** The tasks of one list with their edges: what waits for what, and what an expression may know of a task. */
export interface TaskGraph {
  /** Type of `tasks.<other>` for expressions of a task; of the result when `from` is undefined. */
  typeFor(
    from: string | undefined,
    other: string,
  ): PlanType | { readonly problem: 'UNKNOWN_TASK' | 'MISSING_NEED'; readonly message: string };
  /** Type of the elements of a list that an expression gives. */
  elementType(text: string, base: Readonly<Record<string, PlanType>>, from: string | undefined): PlanType;
}

interface Node {
  readonly task: JsonObject;
  readonly needs: readonly string[];
  readonly after: readonly string[];
}
const strings = (value: Json | undefined): readonly string[] =>
  isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];

export function createTaskGraph(list: readonly Json[], pointer: string, problems: ProblemList): TaskGraph {
  const nodes = new Map<string, Node>();
  const places = new Map<string, number>();
  list.forEach((task, index) => {
    if (!isObject(task) || typeof task['id'] !== 'string') return;
    const id = task['id'];
    const first = places.get(id);
    if (first !== undefined) {
      problems.error(
        'DUPLICATE_ID',
        `${pointer}/${index}/id`,
        `The id "${id}" is already used by task ${first + 1} (line {{line:${pointer}/${first}}}); rename one.`,
      );
      return;
    }
    places.set(id, index);
    nodes.set(id, { task, needs: strings(task['needs']), after: strings(task['after']) });
  });
  checkEdges(list, pointer, nodes, problems);
  findCycles(nodes, places, pointer, problems);

  // Reached through needs alone: it has succeeded; through any after: it may have ended in any way.
  const leads = (from: string, other: string, edges: (node: Node) => readonly string[]): boolean => {
    const seen = new Set([from]);
    for (const id of seen) {
      const node = nodes.get(id);
      if (!node) continue;
      for (const before of edges(node)) {
        if (before === other) return true;
        seen.add(before);
      }
    }
    return false;
  };
  const suggest = suggester(nodes);

  const graph: TaskGraph = {
    typeFor(from, other) {
      const node = nodes.get(other);
      if (!node) {
        const suggestion = suggest(other);
        return {
          problem: 'UNKNOWN_TASK',
          message: `There is no task "${other}"; ${suggestion === '' ? `the tasks are ${firstNames(nodes)}.` : suggestion}`,
        };
      }
      if (from === undefined) return taskType(node.task, false);
      if (from === other)
        return {
          problem: 'MISSING_NEED',
          message: `The task "${other}" refers to itself; its own result is known only as output, in repeat.until, compensation and an approval with at: after.`,
        };
      const isSure = leads(from, other, ({ needs }) => needs);
      if (!isSure && !leads(from, other, ({ needs, after }) => [...needs, ...after]))
        return {
          problem: 'MISSING_NEED',
          message: `tasks.${other} is used, but "${from}" does not wait for it; add "${other}" to needs.`,
        };
      return taskType(node.task, isSure);
    },
    elementType(text, base, from) {
      const source = soleExpression(text);
      if (source === undefined) return dyn;
      const silent: ProblemList = {
        error: () => undefined,
        warning: () => undefined,
        all: () => [],
        touches: () => false,
      };
      const scope = { variables: base, task: (id: string) => graph.typeFor(from, id) };
      if (checkSource(source, '', scope, silent) === undefined) return dyn;
      const type = memberType(source, { ...base }, (id) => {
        const found = graph.typeFor(from, id);
        return 'problem' in found ? dyn : found;
      });
      return type.is === 'list' ? type.of : dyn;
    },
  };
  return graph;
}

function firstNames(nodes: ReadonlyMap<string, Node>): string {
  const first: string[] = [];
  for (const name of nodes.keys()) if (first.push(name) === 12) break;
  return `${first.join(', ')}${nodes.size > 12 ? ' …' : ''}`;
}

/** Comparing thousands of wrong names with thousands of tasks would take minutes: the first ten get a suggestion. */
function suggester(nodes: ReadonlyMap<string, Node>): (name: string) => string {
  let left = 10;
  return (name) => {
    left -= 1;
    return left < 0 ? '' : didYouMean(name.replace(/-/g, ''), nodes.keys());
  };
}

function checkEdges(
  list: readonly Json[],
  pointer: string,
  nodes: ReadonlyMap<string, Node>,
  problems: ProblemList,
): void {
  const suggest = suggester(nodes);
  list.forEach((task, index) => {
    if (!isObject(task)) return;
    const needs = strings(task['needs']);
    for (const field of ['needs', 'after'] as const) {
      strings(task[field]).forEach((other, at) => {
        const place = `${pointer}/${index}/${field}/${at}`;
        // What is no id at all is said by the shape.
        if (!nodes.has(other) && !idPattern.test(other)) return;
        if (!nodes.has(other)) {
          const suggestion = suggest(other);
          problems.error(
            'UNKNOWN_TASK',
            place,
            `There is no task "${other}"; ${suggestion === '' ? `the tasks are ${firstNames(nodes)}.` : suggestion}`,
          );
        } else if (field === 'after' && needs.includes(other))
          problems.error(
            'CONFLICT',
            place,
            `"${other}" is in needs as well; needs already waits for it, remove it here.`,
          );
      });
    }
  });
}

function findCycles(
  nodes: ReadonlyMap<string, Node>,
  places: ReadonlyMap<string, number>,
  pointer: string,
  problems: ProblemList,
): void {
  const state = new Map<string, 'open' | 'done'>();
  for (const start of nodes.keys()) {
    if (state.has(start)) continue;
    const path: string[] = [];
    const stack: { readonly id: string; readonly edges: Iterator<string> }[] = [];
    const enter = (id: string): void => {
      const node = nodes.get(id);
      state.set(id, 'open');
      path.push(id);
      stack.push({ id, edges: [...(node?.needs ?? []), ...(node?.after ?? [])][Symbol.iterator]() });
    };
    enter(start);
    while (stack.length > 0) {
      const top = stack.at(-1);
      const next = top?.edges.next();
      if (!top || !next || next.done === true) {
        state.set(top?.id ?? '', 'done');
        path.pop();
        stack.pop();
        continue;
      }
      const id = next.value;
      if (!nodes.has(id) || state.get(id) === 'done') continue;
      if (state.get(id) === 'open') {
        const cycle = [...path.slice(path.indexOf(id)), id];
        const [first = '', second = ''] = cycle;
        const field = nodes.get(first)?.needs.includes(second) === true ? 'needs' : 'after';
        problems.error(
          'CYCLE',
          `${pointer}/${places.get(first) ?? 0}/${field}`,
          `These tasks wait for each other: ${cycle.join(' → ')}; remove one entry of needs or after.`,
        );
        continue;
      }
      enter(id);
    }
  }
}

const failure: PlanType = dyn;
/** `isSure`: it has succeeded when it is read, so its result is there. */
function taskType(task: JsonObject, isSure: boolean): PlanType {
  const declared =
    'plan' in task
      ? dyn
      : 'ask' in task
        ? typeOfSchema(isObject(task['ask']) ? task['ask']['answer'] : undefined)
        : typeOfSchema(task['output']);
  const forEach = task['forEach'];
  const tolerates =
    isObject(forEach) && typeof forEach['maxFailurePercent'] === 'number' && forEach['maxFailurePercent'] > 0;
  const output: PlanType = !isSure
    ? dyn
    : forEach !== undefined
      ? { is: 'list', of: tolerates ? dyn : declared }
      : declared;
  return {
    is: 'record',
    fields: {
      output,
      status: { is: 'string' },
      failure,
      ...('approval' in task && { approval: dyn }),
      ...(forEach !== undefined && {
        items: {
          is: 'list',
          of: { is: 'record', fields: { status: { is: 'string' }, output: dyn, failure, item: dyn } },
        },
      }),
      ...('repeat' in task && { rounds: { is: 'int' } }),
    },
  };
}
