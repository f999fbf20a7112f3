import type { Json } from './contracts/json';
import { ExpressionFailure } from './expressions';
import { definitionOf, isEnded, type PlanRun, runsOf, type TaskRun, taskOf, topOf } from './plan-state';

/** Results beyond this many bytes are let go as soon as no expression needs them; below it they stay to be looked at. */
const keepBytes = 256 * 1024;
/** One part of stored results, in characters of JSON: less than 2 MiB in any script. */
const partBytes = 512 * 1024;
/** What one task may read of stored results, and one run may fetch: a history ends at 50 MiB. */
export const recallLimitBytes = 16 * 1024 * 1024;

export type ResultEntries = readonly (readonly [taskId: string, output: Json])[];

const sizeOf = (output: Json): number => JSON.stringify(output).length;

export function setResult(run: PlanRun, task: TaskRun, output: Json): void {
  task.output = output;
  count(run, task, sizeOf(output));
}

export function forgetResult(run: PlanRun, task: TaskRun): void {
  if (task.output !== undefined) count(run, task, -sizeOf(task.output));
  delete task.output;
  delete task.stored;
}

function count(run: PlanRun, task: TaskRun, bytes: number): void {
  const top = topOf(task);
  run.seen.tasks.delete(top);
  const kept = (run.kept.get(top) ?? 0) + bytes;
  if (kept > 0) run.kept.set(top, kept);
  else run.kept.delete(top);
  run.keptBytes += bytes;
}

/** Lets go of results that no expression will read any more. */
export function dropResults(run: PlanRun): void {
  if (run.keptBytes <= keepBytes) return;
  for (const id of [...run.kept.keys()]) {
    if (run.keptBytes <= keepBytes) return;
    const task = taskOf(run, id);
    if (isNeeded(run, task)) continue;
    for (const one of runsOf(run, task)) {
      if (one.output === undefined || !isEnded(one)) continue;
      forgetResult(run, one);
      task.outputDropped = true;
    }
    run.away.delete(id);
  }
}

/** Arguments are evaluated anew for each attempt: whoever reads a result needs it until it has ended, and when it failed, for a retry. */
function isNeeded(run: PlanRun, task: TaskRun): boolean {
  if (!isEnded(task) && definitionOf(run, task).approval?.at === 'after') return true;
  for (const reader of run.readers.get(task.id) ?? []) {
    const one = run.tasks.get(reader);
    if (one === undefined || !isEnded(one) || one.state === 'failed') return true;
  }
  return false;
}

/** Whether all results of these tasks can be read without fetching any. */
export const areAtHand = (run: PlanRun, ids: Iterable<string>): boolean => {
  for (const id of ids) if ((run.away.get(id)?.size ?? 0) > 0 || run.tasks.get(id)?.outputDropped) return false;
  return true;
};

/**
 * Whether these tasks' results can be read now; otherwise `run.recalls` says what must be fetched first. Throws
 * ExpressionFailure when that would be more than a workflow can hold.
 */
export function recall(run: PlanRun, ids: Iterable<string>): boolean {
  const parts = new Set<number>();
  for (const id of ids) for (const part of run.away.get(id) ?? []) parts.add(part);
  if (parts.size === 0) return true;
  const bytes = [...parts].reduce((sum, part) => sum + (run.resultParts[part]?.bytes ?? 0), 0);
  if (bytes > recallLimitBytes)
    throw new ExpressionFailure(
      `it reads ${Math.ceil(bytes / 1024 / 1024)} MiB of results, more than ${recallLimitBytes / 1024 / 1024}; let agents return artifacts`,
    );
  for (const part of parts) run.recalls.add(part);
  return false;
}

/** What was fetched is at hand again. */
export function putBack(run: PlanRun, part: number, entries: ResultEntries): void {
  for (const [id, output] of entries) {
    const task = run.tasks.get(id);
    // Meanwhile run again, or let go: then its own result counts.
    if (task?.stored === part && task.output === undefined) setResult(run, task, output);
  }
  for (const parts of run.away.values()) parts.delete(part);
  run.recalls.delete(part);
  run.ready.push(...run.held.splice(0));
}

/** Results that are at hand and stored nowhere, in parts; none when all of them fit into a snapshot. */
export function resultsToStore(run: PlanRun): readonly ResultEntries[] {
  if (run.keptBytes <= keepBytes) return [];
  const parts: [string, Json][][] = [];
  let bytes = Infinity;
  for (const task of run.tasks.values()) {
    if (task.output === undefined || task.stored !== undefined || !isEnded(task)) continue;
    const size = sizeOf(task.output);
    if (bytes + size > partBytes) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push([task.id, task.output]);
    bytes += size + task.id.length;
  }
  return parts;
}

/** A part lies in the store: its results need not be in a snapshot. */
export function resultsStored(run: PlanRun, entries: ResultEntries, artifact: string): void {
  const bytes = JSON.stringify(entries).length;
  run.resultParts.push({ artifact, bytes });
  for (const [id] of entries) taskOf(run, id).stored = run.resultParts.length - 1;
}
