import type { PlanDefinition } from './contracts/plan-definition';
import type { AttemptView, TaskState } from './contracts/plan';
import { attemptOf } from './plan-outcome';
import { type PlanRun, type PlanSnapshot, type TaskRun, taskTransitions } from './plan-state';

/**
 * A task as a row: about 60 bytes instead of 450, for 10,000 of them go through every continuing as new. Times are
 * milliseconds since the plan's start; null stands for what a task does not have.
 */
type Row = readonly [
  of: number,
  index: number | null,
  state: number,
  attempt: number,
  tries: number,
  agent: number | null,
  readyAt: number | null,
  dispatchedAt: number | null,
  startedAt: number | null,
  endedAt: number | null,
  rest?: Rest,
];
const inRow = [
  'id',
  'of',
  'parent',
  'index',
  'state',
  'attempt',
  'tries',
  'agent',
  'readyAt',
  'dispatchedAt',
  'startedAt',
  'endedAt',
] as const;
type Rest = Partial<Omit<TaskRun, (typeof inRow)[number]>>;
interface Encoded extends Omit<PlanSnapshot, 'tasks'> {
  readonly version: 1;
  readonly agents: readonly string[];
  readonly rows: readonly Row[];
}

// The order is part of recorded histories: new states come last.
const states = Object.keys(taskTransitions) as readonly TaskState[];

/** The run as text, from which a later run goes on; what is stored elsewhere is not in it, and when brief no result at all. */
export function encodeSnapshot(run: PlanRun, isBrief = false): string {
  const agents: string[] = [];
  const places = new Map<string, number>();
  const placeOf = (agent: string | undefined): number | null => {
    if (agent === undefined) return null;
    const known = places.get(agent);
    if (known !== undefined) return known;
    places.set(agent, agents.length);
    return agents.push(agent) - 1;
  };
  const since = (time: number | undefined): number | null => (time === undefined ? null : time - run.startedAt);
  const rows = [...run.tasks.values()].map((task): Row => {
    const rest = isBrief ? briefly(run, task) : restOf(task);
    const row = [
      task.of,
      task.index ?? null,
      states.indexOf(task.state),
      task.attempt,
      task.tries,
      placeOf(task.agent),
      since(task.readyAt),
      since(task.dispatchedAt),
      since(task.startedAt),
      since(task.endedAt),
    ] as const;
    return Object.keys(rest).length === 0 ? row : [...row, rest];
  });
  const encoded: Encoded = {
    version: 1,
    state: run.state,
    compensation: run.compensation,
    cursor: run.cursor,
    ...(run.failure && { failure: run.failure }),
    ...(run.deadlineAt !== undefined && { deadlineAt: run.deadlineAt }),
    ...(run.stillSince !== undefined && { stillSince: run.stillSince }),
    ...(run.pausedSince !== undefined && { pausedSince: run.pausedSince }),
    ...(run.pauseReason !== undefined && { pauseReason: run.pauseReason }),
    resultParts: isBrief ? [] : run.resultParts,
    ...(run.early.size > 0 && { early: [...run.early.values()] }),
    agents,
    rows,
  };
  return JSON.stringify(encoded);
}

export function decodeSnapshot(text: string, plan: PlanDefinition, startedAt: number): PlanSnapshot {
  const { rows, agents, ...rest } = JSON.parse(text) as Encoded;
  return { ...rest, tasks: rows.map((row) => fromRow(row, plan, agents, startedAt)) };
}

/** What the row has no place for; a lone attempt that succeeded, the usual history, follows from the row itself. */
function restOf(task: TaskRun): Rest {
  const rest: Record<string, unknown> = { ...task };
  for (const key of inRow) Reflect.deleteProperty(rest, key);
  if (task.stored !== undefined) delete rest['output'];
  if (JSON.stringify(task.attempts) === JSON.stringify(usualAttempts(task))) delete rest['attempts'];
  if (task.everDispatched === (task.dispatchedAt === undefined ? undefined : true)) delete rest['everDispatched'];
  if (task.round === 0) delete rest['round'];
  return rest;
}

/** Without results, items and attempts: what would read them can be run again only with the task itself. */
function briefly(run: PlanRun, task: TaskRun): Rest {
  const rest: Record<string, unknown> = { ...restOf(task) };
  for (const key of ['output', 'stored', 'item', 'attempts']) Reflect.deleteProperty(rest, key);
  if (run.kept.has(task.id) || run.away.has(task.id)) rest['outputDropped'] = true;
  return rest;
}

const usualAttempts = (task: TaskRun): readonly AttemptView[] =>
  task.state === 'succeeded' && task.attempt === 1 && task.endedAt !== undefined
    ? [attemptOf(task, 'succeeded', task.endedAt)]
    : [];

function fromRow(row: Row, plan: PlanDefinition, agents: readonly string[], startedAt: number): TaskRun {
  const [of, index, state, attempt, tries, agent, readyAt, dispatchedAt, taskStartedAt, endedAt, rest = {}] = row;
  const top = plan.tasks[of]?.id ?? '';
  const at = (key: string, since: number | null): Record<string, number> =>
    since === null ? {} : { [key]: startedAt + since };
  const agentId = agent === null ? undefined : agents[agent];
  const task: TaskRun = {
    id: index === null ? top : `${top}.${index}`,
    of,
    ...(index !== null && { parent: top, index }),
    state: states[state] ?? 'pending',
    attempt,
    tries,
    round: 0,
    ...(agentId !== undefined && { agent: agentId }),
    ...at('readyAt', readyAt),
    ...at('dispatchedAt', dispatchedAt),
    ...at('startedAt', taskStartedAt),
    ...at('endedAt', endedAt),
    ...(dispatchedAt !== null && { everDispatched: true }),
    ...rest,
    attempts: [],
  };
  task.attempts = [...(rest.attempts ?? usualAttempts(task))];
  return task;
}
