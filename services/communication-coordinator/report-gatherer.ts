import { setImmediate } from 'node:timers/promises';
import { type WorkflowClient, WorkflowNotFoundError } from '@temporalio/client';
import type { TaskReport } from '../../workflows/contracts/messages';
import { planWorkflowId, reportBatchLimits, tasksReported } from '../../workflows/contracts/plan';

export interface GathererObserver {
  signalled(reports: number): void;
  /** The plan is not there (any more): its reports mean nothing. */
  unknownPlan(planId: string, reports: number): void;
  retried(planId: string, error: unknown): void;
}
export interface ReportGatherer {
  /** Resolves once Temporal has accepted the reports, or the plan is known to be gone; only then may the bus forget them. */
  accept(planId: string, reports: readonly TaskReport[]): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  readonly report: TaskReport;
  readonly bytes: number;
  readonly done: () => void;
}

/**
 * Sends the reports of one plan as few signals: what comes while one is under way leaves together in the next. One
 * signal of a plan at a time, so that its order stays; by workflow id without run id, so that continuing as new loses none.
 */
export function createReportGatherer(workflows: WorkflowClient, observer: GathererObserver): ReportGatherer {
  const lines = new Map<string, Waiting[]>();
  const senders = new Map<string, Promise<void>>();
  let closed = false;

  const take = (line: Waiting[]): Waiting[] => {
    let bytes = 0;
    let count = 0;
    while (count < line.length && count < reportBatchLimits.reports) {
      bytes += line[count]?.bytes ?? 0;
      if (count > 0 && bytes > reportBatchLimits.bytes) break;
      count += 1;
    }
    return line.splice(0, count);
  };
  const send = async (planId: string, batch: readonly Waiting[]): Promise<void> => {
    const handle = workflows.getHandle(planWorkflowId(planId));
    for (let pause = 100; ; pause = Math.min(5000, pause * 2)) {
      try {
        await handle.signal(
          tasksReported,
          batch.map(({ report }) => report),
        );
        observer.signalled(batch.length);
        return;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) {
          observer.unknownPlan(planId, batch.length);
          return;
        }
        if (closed) throw error; // not acknowledged: the bus gives it to the next coordinator
        observer.retried(planId, error);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  };
  const run = async (planId: string, line: Waiting[]): Promise<void> => {
    await setImmediate(); // what the same read of the bus brought leaves together
    while (line.length > 0) {
      const batch = take(line);
      await send(planId, batch);
      for (const { done } of batch) done();
    }
  };
  return {
    async accept(planId, reports) {
      const line = lines.get(planId) ?? [];
      lines.set(planId, line);
      const accepted = reports.map(
        (report) => new Promise<void>((done) => line.push({ report, bytes: JSON.stringify(report).length, done })),
      );
      let sender = senders.get(planId);
      if (!sender) {
        sender = run(planId, line).finally(() => {
          senders.delete(planId);
          if (line.length === 0) lines.delete(planId);
        });
        senders.set(planId, sender);
        sender.catch(() => undefined);
      }
      // A sender that gave up makes this reject, and the bus keeps the messages.
      await Promise.race([Promise.all(accepted), sender.then(() => Promise.all(accepted))]);
    },
    async close() {
      closed = true;
      await Promise.allSettled(senders.values());
    },
  };
}
