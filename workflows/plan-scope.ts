import type { Json, JsonObject } from './contracts/json';
import { type CelScope, celScope, tasksReadBy, toCel, type Variable } from './expressions';
import { isEnded, type PlanRun, runsOf, type TaskRun, taskOf } from './plan-state';

/** What the expressions of these values may see: of the tasks only those that they name. */
export function scopeFor(
  run: PlanRun,
  task: TaskRun | undefined,
  values: readonly Json[],
  more: Partial<Record<Variable, Json>> = {},
): CelScope {
  const tasks: Record<string, unknown> = {};
  for (const id of tasksReadBy(values)) if (run.tasks.has(id)) tasks[id] = seenTask(run, taskOf(run, id));
  // One answer covers all items.
  const approval = task?.approval ?? (task?.parent === undefined ? undefined : taskOf(run, task.parent).approval);
  run.seen.inputs ??= toCel(run.inputs);
  run.seen.plan ??= toCel(planValue(run));
  return {
    inputs: run.seen.inputs,
    tasks,
    plan: run.seen.plan,
    ...celScope({
      ...(task?.index !== undefined && { index: task.index, item: task.item ?? null }),
      ...(approval && { approval }),
      ...more,
    }),
  };
}

/** Turned into CEL's values once: thousands of items may read the same list of thousands of results. */
function seenTask(run: PlanRun, task: TaskRun): unknown {
  const known = run.seen.tasks.get(task.id);
  if (known !== undefined) return known;
  const value = toCel(taskValue(run, task));
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
