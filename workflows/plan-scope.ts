import type { Json, JsonObject } from './contracts/json';
import type { TaskDefinition } from './contracts/plan-definition';
import { soleExpression } from './expression-text';
import { type CelScope, tasksReadBy, toCel } from './expressions';
import { memberType } from './plan-member-type';
import { definitionOf, isEnded, type PlanRun, runsOf, type TaskRun, taskOf } from './plan-state';
import { dyn, type PlanType, typeOfInputs, typeOfSchema } from './plan-types';

/** What the expressions of these values may see: of the tasks only those that they name; `output` where it is given. */
export function scopeFor(
  run: PlanRun,
  task: TaskRun | undefined,
  values: readonly Json[],
  more: { readonly output?: Json } = {},
): CelScope {
  const tasks: Record<string, unknown> = {};
  for (const id of tasksReadBy(values)) if (run.tasks.has(id)) tasks[id] = seenTask(run, taskOf(run, id));
  // One answer covers all items.
  const approval = task?.approval ?? (task?.parent === undefined ? undefined : taskOf(run, task.parent).approval);
  run.seen.inputs ??= toCel(run.inputs, typeOfInputs(run.plan.inputs));
  run.seen.plan ??= toCel(planValue(run));
  return {
    inputs: run.seen.inputs,
    tasks,
    plan: run.seen.plan,
    ...(task?.index !== undefined && {
      index: toCel(task.index),
      item: toCel(task.item ?? null, itemType(run, definitionOf(run, task))),
    }),
    ...(approval && { approval: toCel(approval) }),
    ...(more.output !== undefined && { output: toCel(more.output, task ? outputType(run, task) : dyn) }),
  };
}

/** Turned into CEL's values once: thousands of items may read the same list of thousands of results. */
function seenTask(run: PlanRun, task: TaskRun): unknown {
  const known = run.seen.tasks.get(task.id);
  if (known !== undefined) return known;
  const value = toCel(taskValue(run, task), taskType(run, task));
  if (isEnded(task)) run.seen.tasks.set(task.id, value);
  return value;
}

const planValue = (run: PlanRun): JsonObject => ({
  id: run.planId,
  name: run.plan.name,
  owner: run.owner,
  startedAt: new Date(run.startedAt).toISOString(),
  labels: run.plan.labels,
});

function taskValue(run: PlanRun, task: TaskRun): JsonObject {
  const value: Record<string, Json> = { status: statusOf(task), failure: task.failure ? { ...task.failure } : null };
  if (task.approval) value['approval'] = task.approval;
  if (task.items === undefined) value['output'] = task.output ?? null;
  else {
    const items = runsOf(run, task);
    value['output'] =
      task.state === 'failed' || task.state === 'skipped' ? null : items.map(({ output }) => output ?? null);
    value['items'] = items.map((item) => ({
      status: statusOf(item),
      output: item.output ?? null,
      failure: item.failure ? { ...item.failure } : null,
      item: item.item ?? null,
    }));
  }
  return value;
}
// Expressions know three ends; a cancelled or compensated task is one that did not succeed.
const statusOf = ({ state }: TaskRun): string => (state === 'succeeded' || state === 'skipped' ? state : 'failed');

/** What schemas say of a task's value: numbers in it are what was declared, as they were when the plan was checked. */
function taskType(run: PlanRun, task: TaskRun): PlanType {
  const definition = definitionOf(run, task);
  const output = outputType(run, task);
  if (output.is !== 'list' || task.items === undefined) return { is: 'record', fields: { output } };
  const item: PlanType = { is: 'record', fields: { output: output.of, item: itemType(run, definition) } };
  return { is: 'record', fields: { output, items: { is: 'list', of: item } } };
}

function outputType(run: PlanRun, task: TaskRun): PlanType {
  const { output } = definitionOf(run, task);
  const declared = typeOfSchema(output);
  return task.items === undefined ? declared : { is: 'list', of: declared };
}

/** What the schemas that the list of a forEach comes from say of its elements. */
function itemType(run: PlanRun, { id, forEach }: TaskDefinition): PlanType {
  const known = run.seen.items.get(id);
  if (known) return known;
  const list = memberType(
    soleExpression(forEach?.in ?? '') ?? '',
    { inputs: typeOfInputs(run.plan.inputs) },
    (other) => {
      const task = run.tasks.get(other);
      return task ? { is: 'record', fields: { output: outputType(run, task) } } : dyn;
    },
  );
  const element = list.is === 'list' ? list.of : dyn;
  run.seen.items.set(id, element);
  return element;
}
