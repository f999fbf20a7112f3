import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { DataActivities } from '../activities/plan';
import type { PlanStart } from './contracts/plan';
import { taskQueues } from './contracts/task-queues';
import { refuseReopening } from './plan-commands';
import { putBack, recallLimitBytes, resultsStored, resultsToStore } from './plan-results';
import { decodeSnapshot, encodeSnapshot } from './plan-snapshot';
import { createRun } from './plan-start';
import type { PlanRun, PlanSnapshot } from './plan-state';

const data = proxyActivities<DataActivities>({
  taskQueue: taskQueues.data,
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '30 seconds' },
});

// A run ends long before the server's limits of 10,000 signals and 2,000 updates.
const maxSignals = 5_000;
const maxUpdates = 1_000;
const maxEvents = 4_000;
const maxGrownBytes = 4 * 1024 * 1024;

/** A payload of 2 MiB would hang the workflow; characters may have three bytes, and quotes are escaped. */
const inlineCharacters = 256 * 1024;
const partCharacters = 512 * 1024;

type Continued = NonNullable<PlanStart['continued']>;

/** Where the run before stood, and how many bytes of this one's history that cost; nothing at a plan's start. */
export async function loadSnapshot({
  continued,
  plan,
  startedAt,
}: PlanStart): Promise<{ readonly snapshot?: PlanSnapshot; readonly bytes: number }> {
  if (!continued) return { bytes: 0 };
  const parts =
    continued.inline === undefined
      ? await Promise.all((continued.parts ?? []).map((artifact) => data.getSnapshotPart({ artifact })))
      : [continued.inline];
  const text = parts.join('');
  return { snapshot: decodeSnapshot(text, plan, Date.parse(startedAt)), bytes: text.length };
}

/** What the next run goes on from. Results that are needed later leave first, each only once over all runs. */
export async function saveSnapshot(run: PlanRun): Promise<Pick<Continued, 'inline' | 'parts'>> {
  for (const entries of resultsToStore(run))
    resultsStored(run, entries, await data.putResults({ planId: run.planId, entries }));
  const text = encodeSnapshot(run);
  if (text.length <= inlineCharacters) return { inline: text };
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const part = wholeCharacters(text, at, at + partCharacters);
    parts.push(await data.putSnapshotPart({ planId: run.planId, text: part }));
    at += part.length;
  }
  return { parts };
}

/**
 * What a plan that has ended is to go on from, as one text, since a query can store nothing: without results when it
 * would be too large. Throws as `refuseReopening`, then also for a task that reads such a result.
 */
export function snapshotToReopen(run: PlanRun, taskId: string): string {
  refuseReopening(run, taskId);
  const text = encodeSnapshot(run);
  if (text.length <= partCharacters) return text;
  const brief = encodeSnapshot(run, true);
  const { planId, plan, inputs, owner, startedAt } = run;
  refuseReopening(
    createRun({ planId, plan, inputs, owner, startedAt }, decodeSnapshot(brief, plan, startedAt)),
    taskId,
  );
  return brief;
}

/** No pair of surrogates is torn: half of one does not survive UTF-8. */
function wholeCharacters(text: string, from: number, to: number): string {
  const last = text.charCodeAt(to - 1);
  const isTorn = to < text.length && last >= 0xd800 && last <= 0xdbff;
  return text.slice(from, isTorn ? to - 1 : to);
}

/** When a run has lived long enough; what it fetched to begin with does not count, or it could never get on. */
export function createLifetime(loadedBytes: number): {
  readonly signals: { count: number };
  readonly updates: { count: number };
  /** Fetches results that are needed; false when another run has to, for this one's history would become too long. */
  recall(run: PlanRun): Promise<boolean>;
  isOver(): boolean;
} {
  let recalledBytes = 0;
  const signals = { count: 0 };
  const updates = { count: 0 };
  return {
    signals,
    updates,
    async recall(run) {
      const parts = [...run.recalls].flatMap((index) => {
        const part = run.resultParts[index];
        return part ? [{ index, ...part }] : [];
      });
      const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
      if (recalledBytes > 0 && recalledBytes + bytes > recallLimitBytes) return false;
      recalledBytes += bytes;
      const contents = await Promise.all(parts.map(({ artifact }) => data.getResults({ artifact })));
      parts.forEach(({ index }, at) => {
        putBack(run, index, contents[at] ?? []);
      });
      return true;
    },
    isOver() {
      const { historyLength, historySize, continueAsNewSuggested } = workflowInfo();
      if (signals.count >= maxSignals || updates.count >= maxUpdates) return true;
      return (
        continueAsNewSuggested &&
        (historyLength >= maxEvents || historySize - loadedBytes - recalledBytes >= maxGrownBytes)
      );
    },
  };
}
