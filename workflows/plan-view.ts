import { jsonBytes, type JsonObject } from './contracts/json';
import type { AttemptChange, ChangeSet, PlanHeader, TaskDetail, TaskState, TaskView } from './contracts/plan';
import { ExpressionFailure } from './expressions';
import { argumentsOf } from './plan-arguments';
import { areAtHand } from './plan-results';
import { definitionOf, type PlanRun, type TaskRun, taskOf, topOf } from './plan-state';

const iso = (time: number): string => new Date(time).toISOString();

export function headerOf(run: PlanRun): PlanHeader {
  const waiting = [...run.active].map((id) => taskOf(run, id)).filter(({ gate }) => gate !== undefined);
  return {
    planId: run.planId,
    name: run.plan.name,
    title: run.plan.title,
    owner: run.owner,
    state: run.state,
    compensation: run.compensation,
    startedAt: iso(run.startedAt),
    ...(run.endedAt !== undefined && { endedAt: iso(run.endedAt) }),
    cursor: run.cursor,
    counts: Object.fromEntries([...run.counts].filter(([, count]) => count > 0)),
    taskCount: run.plan.tasks.length,
    waitingFor: waiting
      .slice(0, 20)
      .flatMap(({ id, gate, waitingSince }) =>
        gate
          ? [{ approvalId: gate.approvalId, taskId: id, title: gate.title, by: gate.by, since: iso(waitingSince ?? 0) }]
          : [],
      ),
    ...(run.failure && { failure: run.failure }),
    ...(run.result !== undefined && { result: run.result }),
    ...(run.resultProblem !== undefined && { resultProblem: run.resultProblem }),
  };
}

/** A title that names the item says nothing of the whole forEach. */
const plainTitle = (title: string, id: string): string => (title.includes('${{') ? id : title);

export function taskView(run: PlanRun, task: TaskRun): TaskView {
  const definition = definitionOf(run, task);
  return {
    id: task.id,
    title: task.title ?? plainTitle(definition.title, task.id),
    capability: definition.capability,
    state: task.state,
    attempt: task.attempt,
    needs: task.parent === undefined ? definition.needs : [],
    after: task.parent === undefined ? definition.after : [],
    ...(task.parent !== undefined && { parent: task.parent }),
    ...(task.readyAt !== undefined && { readyAt: iso(task.readyAt) }),
    ...(task.startedAt !== undefined && { startedAt: iso(task.startedAt) }),
    ...(task.endedAt !== undefined && { endedAt: iso(task.endedAt) }),
    ...(task.agent !== undefined && { agent: task.agent }),
    ...(task.failure && { failure: task.failure }),
    ...(task.reason !== undefined && { reason: task.reason }),
    ...(task.gate && { approvalId: task.gate.approvalId }),
    ...(task.items !== undefined && { items: itemCounts(run, task) }),
    ...(definition.compensation && { hasCompensation: true }),
  };
}

function itemCounts(run: PlanRun, task: TaskRun): Partial<Record<TaskState, number>> {
  const counts: Partial<Record<TaskState, number>> = {};
  for (const id of run.items.get(task.id) ?? []) {
    const { state } = taskOf(run, id);
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

export function taskDetail(run: PlanRun, id: string): TaskDetail | null {
  const task = run.tasks.get(id);
  if (!task) return null;
  return {
    ...taskView(run, task),
    ...shownArguments(run, task),
    ...(task.output !== undefined && { output: task.output }),
    attempts: task.attempts,
  };
}

/** Those of the last attempt: kept, or evaluated again as long as what they read is at hand. */
function shownArguments(run: PlanRun, task: TaskRun): { readonly arguments?: JsonObject } {
  if (task.arguments) return { arguments: task.arguments };
  const wasSent =
    task.items === undefined && task.everDispatched && task.state !== 'pending' && task.state !== 'queued';
  if (!wasSent || !areAtHand(run, run.reads.get(topOf(task)) ?? [])) return {};
  try {
    return { arguments: argumentsOf(run, task) };
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    return {};
  }
}

/** Tasks in the plan's order, the items of a forEach after it. */
export function taskPage(run: PlanRun, offset: number, limit: number): readonly TaskView[] {
  const ids = run.plan.tasks.flatMap(({ id }) => [id, ...(run.items.get(id) ?? [])]);
  return ids.slice(offset, offset + Math.min(limit, 1000)).map((id) => taskView(run, taskOf(run, id)));
}

const changeTasks = 500;
const changeBytes = 200 * 1024;

/** What changed since the last call, in sets of at most 500 tasks and 200 KiB of them; none when nothing did. */
export function takeChanges(run: PlanRun, now: number): readonly ChangeSet[] {
  if (run.dirty.size === 0 && !run.planDirty) return [];
  const ended = new Map<string, AttemptChange[]>();
  for (const one of run.ended) ended.set(one.taskId, [...(ended.get(one.taskId) ?? []), one]);
  const sets: { readonly tasks: TaskView[]; readonly attempts: AttemptChange[] }[] = [{ tasks: [], attempts: [] }];
  let bytes = 0;
  for (const id of run.dirty) {
    const task = run.tasks.get(id);
    const view = task && taskView(run, task); // none for an item of a forEach that is run again
    const attempts = [...(ended.get(id) ?? []), ...(task ? underWay(task) : [])];
    const size = jsonBytes({ view: view ?? null, attempts } as unknown as JsonObject);
    const current = sets.at(-1);
    if (!current || (bytes > 0 && (current.tasks.length >= changeTasks || bytes + size > changeBytes))) {
      sets.push({ tasks: view ? [view] : [], attempts });
      bytes = size;
    } else {
      if (view) current.tasks.push(view);
      current.attempts.push(...attempts);
      bytes += size;
    }
  }
  run.dirty.clear();
  run.ended = [];
  run.planDirty = false;
  return sets.map((set) => {
    run.cursor += 1;
    return { planId: run.planId, cursor: run.cursor, at: iso(now), plan: headerOf(run), ...set };
  });
}

/** The attempt that an agent has, or is to take. */
function underWay(task: TaskRun): readonly AttemptChange[] {
  const isSent = task.compensation
    ? task.compensation.underWay
    : task.state === 'dispatched' || task.state === 'running';
  if (!isSent || task.items !== undefined) return [];
  const { attempt, agent, dispatchedAt, startedAt } = task;
  return [
    {
      taskId: task.id,
      attempt,
      state: startedAt === undefined ? 'dispatched' : 'running',
      ...(agent !== undefined && { agent }),
      ...(dispatchedAt !== undefined && { dispatchedAt: iso(dispatchedAt) }),
      ...(startedAt !== undefined && { startedAt: iso(startedAt) }),
      ...(task.used && { used: task.used }),
    },
  ];
}

/** A few lines for the Temporal UI: done, running, waiting and for whom. */
export function summaryOf(run: PlanRun): string {
  const count = (...states: TaskState[]): number =>
    states.reduce((sum, state) => sum + (run.counts.get(state) ?? 0), 0);
  const { waitingFor } = headerOf(run);
  return [
    `**${run.plan.title}** · ${run.state}${run.pauseReason === undefined ? '' : ` (${run.pauseReason})`}`,
    [
      `${count('succeeded')} done`,
      `${count('dispatched', 'running', 'retrying')} running`,
      `${count('waiting')} waiting`,
      `${count('pending', 'queued')} to come`,
      `${count('failed')} failed`,
      `${count('skipped', 'cancelled')} skipped`,
      ...(run.compensating.size > 0
        ? [`${count('compensated')} undone`, `${count('compensationFailed')} not undone`]
        : []),
    ].join(' · '),
    ...waitingFor.map(({ taskId, title, by }) => `- waits for ${by.join(', ')}: ${title} (${taskId})`),
    ...(count('waiting') > waitingFor.length ? [`- and ${count('waiting') - waitingFor.length} more`] : []),
    ...(run.failure ? [`- ${run.failure.type}: ${run.failure.message}`] : []),
  ].join('\n\n');
}
