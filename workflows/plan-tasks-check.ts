import type { Json, JsonObject } from './contracts/json';
import { soleExpression } from './expression-text';
import { checkExpressionField, checkSource, checkText, checkValue, type CheckScope } from './plan-expression-check';
import { createTaskGraph, type TaskGraph } from './plan-task-graph';
import { didYouMean, escapePointer, type ProblemList } from './plan-problems';
import { dyn, planVariable, type PlanType, typeOfInputs, typeOfSchema } from './plan-types';
import { durationMs, durationPattern, isArray, isObject } from './plan-values';

const text = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** Everything about tasks that the shape alone does not tell: the graph, expressions, and fields that exclude each other. */
export function checkTasks(plan: JsonObject, pointer: string, problems: ProblemList, isSub = false): TaskGraph {
  const list = isArray(plan['tasks']) ? plan['tasks'] : [];
  const graph = createTaskGraph(list, `${pointer}/tasks`, problems);
  const inputs = isObject(plan['inputs']) ? typeOfInputs(plan['inputs']) : ({ is: 'record', fields: {} } as PlanType);
  const base: Readonly<Record<string, PlanType>> = { inputs, plan: planVariable(plan) };
  list.forEach((task, index) => {
    if (isObject(task)) checkTask(task, `${pointer}/tasks/${index}`, base, graph, problems);
  });
  if ('result' in plan)
    checkValue(
      plan['result'] ?? null,
      `${pointer}/result`,
      { variables: base, task: (id) => graph.typeFor(undefined, id) },
      problems,
    );
  if (!isSub) checkPlanLevel(plan, pointer, problems);
  return graph;
}

function checkPlanLevel(plan: JsonObject, pointer: string, problems: ProblemList): void {
  const budget = plan['budget'];
  if (isObject(budget) && budget['onExhausted'] === 'ask' && !('by' in budget))
    problems.error('MISSING_FIELD', `${pointer}/budget`, 'onExhausted: ask needs "by": say who may raise the limit.');
  const revision = plan['revisionApproval'];
  if (isObject(revision))
    for (const field of ['at', 'form', 'editable'])
      if (field in revision)
        problems.error(
          'CONFLICT',
          `${pointer}/revisionApproval/${field}`,
          `An approval of revisions has no ${field}; remove it.`,
        );
}

function checkTask(
  task: JsonObject,
  at: string,
  base: Readonly<Record<string, PlanType>>,
  graph: TaskGraph,
  problems: ProblemList,
): void {
  const kinds = ['capability', 'plan', 'ask'].filter((name) => name in task);
  // A foreign word for capability is told at its own place.
  if (kinds.length === 0 && !problems.touches(`${at}/uses`) && !foreignKind(task))
    problems.error('MISSING_FIELD', at, 'A task needs one of capability, plan or ask.');
  if (kinds.length > 1)
    problems.error('CONFLICT', at, `A task has one of capability, plan or ask, not ${kinds.join(' and ')}.`);
  if ('forEach' in task && 'repeat' in task)
    problems.error(
      'CONFLICT',
      `${at}/repeat`,
      'forEach and repeat exclude each other; put the inner one into a plan of its own.',
    );
  if ('ask' in task)
    for (const field of [
      'retry',
      'timeout',
      'heartbeat',
      'compensation',
      'secrets',
      'budget',
      'planner',
      'approval',
    ] as const)
      if (field in task) problems.error('CONFLICT', `${at}/${field}`, `A question to people has no ${field}.`);
  checkTimes(task, at, problems);

  const id = text(task['id']);
  const scopeWith = (
    more: Readonly<Record<string, PlanType>>,
    absent: Readonly<Record<string, string>> = {},
  ): CheckScope => ({
    variables: { ...base, ...more },
    absent: { ...absences, ...absent },
    task: (other) => graph.typeFor(id, other),
  });
  const plain = scopeWith({});
  if ('when' in task) checkExpressionField('when', task['when'] ?? null, `${at}/when`, 'bool', plain, problems);
  const forEach = task['forEach'];
  let items: Readonly<Record<string, PlanType>> = {};
  if (isObject(forEach)) {
    checkExpressionField('forEach.in', forEach['in'] ?? null, `${at}/forEach/in`, 'list', plain, problems);
    items = { item: graph.elementType(text(forEach['in']) ?? '', base, id), index: { is: 'int' } };
  }
  const approval = task['approval'];
  const asksBefore = isObject(approval) && approval['at'] !== 'after';
  const answer: Readonly<Record<string, PlanType>> = asksBefore
    ? {
        approval: {
          is: 'record',
          fields: {
            choice: { is: 'string' },
            reason: { is: 'string' },
            form: isObject(approval) ? typeOfSchema(approval['form']) : dyn,
          },
        },
      }
    : {};
  const rounds: Readonly<Record<string, PlanType>> = isObject(task['repeat'])
    ? { previous: dyn, round: { is: 'int' } }
    : {};
  if (text(task['title']) !== undefined)
    checkText(text(task['title']) ?? '', `${at}/title`, scopeWith(items), problems, true);
  if (isObject(task['with']))
    checkValue(task['with'], `${at}/with`, scopeWith({ ...items, ...answer, ...rounds }), problems);
  if (isObject(task['degradedWith']))
    checkValue(task['degradedWith'], `${at}/degradedWith`, scopeWith({ ...items, ...answer }), problems);
  if (text(task['concurrencyGroup']) !== undefined)
    checkText(text(task['concurrencyGroup']) ?? '', `${at}/concurrencyGroup`, scopeWith(items), problems, true);
  const output = typeOfSchema(task['output']);
  if (isObject(task['repeat']))
    checkExpressionField(
      'repeat.until',
      task['repeat']['until'] ?? null,
      `${at}/repeat/until`,
      'bool',
      scopeWith({ output: 'plan' in task ? dyn : output, round: { is: 'int' } }),
      problems,
    );
  const compensation = task['compensation'];
  // An own result is null there unless the task succeeded, so its type is open.
  if (isObject(compensation) && isObject(compensation['with']))
    checkValue(
      compensation['with'],
      `${at}/compensation/with`,
      scopeWith({ ...items, ...answer, output: dyn }),
      problems,
    );
  if (isObject(approval))
    checkApprovalTexts(
      approval,
      `${at}/approval`,
      scopeWith(asksBefore ? {} : { output: 'forEach' in task ? dyn : output }),
      problems,
    );
  const ask = task['ask'];
  if (isObject(ask)) checkApprovalTexts(ask, `${at}/ask`, plain, problems);
}

const absences: Readonly<Record<string, string>> = {
  approval: 'approval exists only in with of a task that has an approval',
  item: 'item exists only in a task with forEach',
  index: 'index exists only in a task with forEach',
  output: 'its own result is known only as output, in repeat.until, compensation and an approval with at: after',
  previous: 'previous exists only in with of a task with repeat',
  round: 'round exists only in a task with repeat',
  event: 'event exists only in triggers',
};

const foreignKind = (task: JsonObject): boolean =>
  Object.keys(task).some((key) => ['uses', 'action', 'tool', 'agent', 'run', 'type'].includes(key));

function checkTimes(task: JsonObject, at: string, problems: ProblemList): void {
  for (const [one, where] of [
    [task, at],
    [task['compensation'], `${at}/compensation`],
  ] as const) {
    if (!isObject(one)) continue;
    checkRetryTimes(one['retry'], `${where}/retry`, problems);
    const [heartbeat, timeout] = [text(one['heartbeat']), text(one['timeout']) ?? '10m'];
    if (heartbeat === undefined || !durationPattern.test(heartbeat) || !durationPattern.test(timeout)) continue;
    // Beyond its own bounds it is too long in any case, which is said by the shape.
    if (durationMs(heartbeat) >= durationMs(timeout) && durationMs(heartbeat) <= durationMs('10m'))
      problems.error(
        'BAD_VALUE',
        `${where}/heartbeat`,
        `heartbeat (${heartbeat}) must be shorter than timeout (${timeout}).`,
      );
  }
}

function checkRetryTimes(retry: Json | undefined, where: string, problems: ProblemList): void {
  if (!isObject(retry)) return;
  const [initial, most] = [text(retry['initialInterval']), text(retry['maxInterval'])];
  if (![initial, most].every((one) => one !== undefined && durationPattern.test(one))) return;
  if (durationMs(most ?? '') < durationMs(initial ?? ''))
    problems.error(
      'BAD_VALUE',
      `${where}/maxInterval`,
      `maxInterval (${most}) must not be shorter than initialInterval (${initial}).`,
    );
}

function checkApprovalTexts(approval: JsonObject, at: string, scope: CheckScope, problems: ProblemList): void {
  for (const field of ['title', 'message', 'question'] as const)
    if (text(approval[field]) !== undefined)
      checkText(text(approval[field]) ?? '', `${at}/${field}`, scope, problems, true);
  if (isArray(approval['show']))
    approval['show'].forEach((one, index) => {
      if (!isObject(one)) return;
      checkText(text(one['title']) ?? '', `${at}/show/${index}/title`, scope, problems, true);
      checkValue(one['value'] ?? null, `${at}/show/${index}/value`, scope, problems);
    });
  if ('requiredWhen' in approval)
    checkExpressionField(
      'requiredWhen',
      approval['requiredWhen'] ?? null,
      `${at}/requiredWhen`,
      'bool',
      scope,
      problems,
    );
}

/** Tasks that use plans: the plan is there, its inputs are given, and no plan holds itself. Stage 2. */
export function checkPlanUses(
  plan: JsonObject,
  problems: ProblemList,
  base: Readonly<Record<string, PlanType>>,
  graph: TaskGraph,
): void {
  const plans = isObject(plan['plans']) ? plan['plans'] : {};
  const uses = (owner: JsonObject, pointer: string, found: [string, string, JsonObject][]): void => {
    if (isArray(owner['tasks']))
      owner['tasks'].forEach((task, index) => {
        if (isObject(task) && typeof task['plan'] === 'string')
          found.push([`${pointer}/tasks/${index}`, task['plan'], task]);
      });
  };
  const top: [string, string, JsonObject][] = [];
  uses(plan, '', top);
  for (const [at, name, task] of top) {
    if (name.includes('@'))
      problems.warning(
        'UNKNOWN_PLAN',
        `${at}/plan`,
        `No plan ${name} is published here; the start will be refused until it is.`,
      );
    else if (!Object.hasOwn(plans, name)) {
      const suggestion = didYouMean(name, Object.keys(plans));
      problems.error(
        'UNKNOWN_PLAN',
        `${at}/plan`,
        `plans has no "${name}"; ${suggestion === '' ? `there are ${Object.keys(plans).join(', ') || 'none'}.` : suggestion}`,
      );
    } else
      checkPlanInputs(
        name,
        plans[name] ?? null,
        task,
        at,
        { variables: base, task: (id) => graph.typeFor(text(task['id']), id) },
        problems,
      );
  }
  for (const [name, sub] of Object.entries(plans))
    if (isObject(sub)) checkTasks(sub, `/plans/${escapePointer(name)}`, problems, true);
  const next = (name: string): string[] => {
    const found: [string, string, JsonObject][] = [];
    const sub = plans[name];
    if (isObject(sub)) uses(sub, '', found);
    return found.map(([, used]) => used);
  };
  const told = new Set<string>();
  for (const name of Object.keys(plans)) {
    const cycle = circle(name, next);
    if (!cycle || cycle.some((one) => told.has(one))) continue;
    for (const one of cycle) told.add(one);
    problems.error(
      'CYCLE',
      `/plans/${escapePointer(name)}`,
      `Plans use each other in a circle: ${cycle.join(' → ')}; a plan cannot contain itself.`,
    );
  }
}

/** A way from a plan back to itself; each plan is looked at once, however many ways lead to it. */
function circle(start: string, next: (name: string) => readonly string[]): readonly string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const name of queue)
    for (const one of next(name)) {
      if (one === start) {
        const path = [start];
        for (let at: string | undefined = name; at !== undefined && at !== start; at = cameFrom.get(at))
          path.unshift(at);
        return [start, ...path];
      }
      if (cameFrom.has(one)) continue;
      cameFrom.set(one, name);
      queue.push(one);
    }
  return undefined;
}

function checkPlanInputs(
  name: string,
  sub: Json,
  task: JsonObject,
  at: string,
  scope: CheckScope,
  problems: ProblemList,
): void {
  const inputs = isObject(sub) && isObject(sub['inputs']) ? sub['inputs'] : {};
  const given = isObject(task['with']) ? task['with'] : {};
  for (const [input, schema] of Object.entries(inputs))
    if (!(input in given) && !(isObject(schema) && 'default' in schema))
      problems.error('MISSING_FIELD', `${at}/with`, `The plan "${name}" needs the input "${input}".`);
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(inputs, key)) continue;
    const suggestion = didYouMean(key, Object.keys(inputs));
    problems.error(
      'UNKNOWN_FIELD',
      `${at}/with/${escapePointer(key)}`,
      `The plan "${name}" has no input "${key}"; ${suggestion === '' ? `its inputs are ${Object.keys(inputs).join(', ')}.` : suggestion}`,
    );
  }
  for (const [key, value] of Object.entries(given)) {
    const schema = Object.hasOwn(inputs, key) ? inputs[key] : undefined;
    if (schema !== undefined) checkInputType(key, schema, value, `${at}/with/${escapePointer(key)}`, scope, problems);
  }
}

const article: Readonly<Record<string, string>> = {
  string: 'a string',
  bool: 'true or false',
  int: 'a whole number',
  double: 'a number',
};
function checkInputType(
  name: string,
  schema: Json,
  value: Json,
  at: string,
  scope: CheckScope,
  problems: ProblemList,
): void {
  const wanted = typeOfSchema(schema);
  const given = typeof value === 'string' ? graphType(value, scope) : undefined;
  if (
    given === undefined ||
    given.type === 'dyn' ||
    wanted.is === 'dyn' ||
    wanted.is === 'record' ||
    wanted.is === 'list' ||
    given.type === wanted.is
  )
    return;
  problems.error(
    'EXPRESSION_TYPE',
    at,
    `The input "${name}" must be ${article[wanted.is] ?? wanted.is}; "${given.source}" gives ${given.type}.`,
  );
}
function graphType(value: string, scope: CheckScope): { readonly source: string; readonly type: string } | undefined {
  const silent: ProblemList = { error: () => undefined, warning: () => undefined, all: () => [], touches: () => false };
  const source = soleExpression(value);
  const type = source === undefined ? undefined : checkSource(source, '', scope, silent);
  return source !== undefined && type !== undefined ? { source, type } : undefined;
}
