import type { PlanDefinition } from './contracts/plan-definition';

export interface PlanAnalysis {
  /** Ids that can run at the same time, layer by layer. */
  readonly layers: readonly (readonly string[])[];
  /** The way through the plan that would last longest if every task took its timeout. */
  readonly criticalPath: readonly string[];
  readonly gates: readonly {
    readonly taskId: string;
    readonly title: string;
    readonly at: 'before' | 'after';
    readonly by: readonly string[];
  }[];
}

/** What a sound plan will look like, without running any of it. */
export function analysePlan({ tasks }: PlanDefinition): PlanAnalysis {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const depth = new Map<string, number>();
  const cost = new Map<string, { readonly total: number; readonly from?: string }>();
  // Needs come before their task in this order; without recursion, so that a chain of 10,000 is no problem.
  const left = new Map(tasks.map(({ id, needs, after }) => [id, needs.length + after.length]));
  const dependents = new Map<string, string[]>();
  for (const { id, needs, after } of tasks)
    for (const before of [...needs, ...after]) dependents.set(before, [...(dependents.get(before) ?? []), id]);
  const queue = tasks.filter(({ id }) => left.get(id) === 0).map(({ id }) => id);
  for (const id of queue) {
    const task = byId.get(id);
    if (!task) continue;
    const before = [...task.needs, ...task.after];
    depth.set(
      id,
      before.reduce((most, one) => Math.max(most, (depth.get(one) ?? 0) + 1), 0),
    );
    const longest = before.reduce<string | undefined>(
      (best, one) => (best === undefined || (cost.get(one)?.total ?? 0) > (cost.get(best)?.total ?? 0) ? one : best),
      undefined,
    );
    cost.set(id, {
      total: task.timeoutMs + (longest === undefined ? 0 : (cost.get(longest)?.total ?? 0)),
      ...(longest !== undefined && { from: longest }),
    });
    for (const next of dependents.get(id) ?? []) {
      const open = (left.get(next) ?? 1) - 1;
      left.set(next, open);
      if (open === 0) queue.push(next);
    }
  }
  const layers: string[][] = [];
  for (const { id } of tasks) (layers[depth.get(id) ?? 0] ??= []).push(id);
  let last: string | undefined;
  for (const [id, { total }] of cost) if (last === undefined || total > (cost.get(last)?.total ?? 0)) last = id;
  const criticalPath: string[] = [];
  for (let id = last; id !== undefined; id = cost.get(id)?.from) criticalPath.unshift(id);
  return {
    layers,
    criticalPath,
    gates: tasks.flatMap(({ id, title, approval }) =>
      approval ? [{ taskId: id, title: approval.title ?? title, at: approval.at, by: approval.by }] : [],
    ),
  };
}
