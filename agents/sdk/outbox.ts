import { setImmediate } from 'node:timers/promises';
import type { Logger } from '../../services/runtime/logger';
import type { TaskReport } from '../../workflows/contracts/messages';
import type { AgentTransport } from './transport';

interface Entry {
  readonly capability: string;
  readonly report: TaskReport;
  readonly traceparent?: string;
  readonly sent: () => void;
}
export interface Outbox {
  /** Resolves when the bus has confirmed the report; it is tried for as long as the process lives. */
  add(entry: Omit<Entry, 'sent'>): Promise<void>;
  /** Resolves when everything has left. */
  flush(): Promise<void>;
}

const batch = 500;
// A bus takes the messages of one call as one batch, and Kafka at most 1 MiB of it.
const batchBytes = 400 * 1024;

/**
 * Reports leave in batches, in order, and no beginning or end is dropped while the bus is away: the slots bound how many
 * there are. The end of an attempt says that it began, so a beginning that has not left yet is spared; so is progress
 * that has not left when newer comes, however much a handler has to say.
 */
export function createOutbox(transport: Pick<AgentTransport, 'report'>, logger: Logger): Outbox {
  let entries: Entry[] = [];
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    await setImmediate(); // what the same read of the bus brought leaves together
    for (let pause = 100; entries.length > 0;) {
      const part = firstOf(entries);
      entries = entries.slice(part.length);
      try {
        await transport.report(part);
        for (const { sent } of part) sent();
        pause = 100;
      } catch (error) {
        entries = [...part, ...entries];
        logger.warn({ err: error, waiting: entries.length }, 'reports could not be sent; tried again');
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(5000, pause * 2);
      }
    }
  };
  const outbox: Outbox = {
    add: (entry) =>
      new Promise((sent) => {
        const at = entries.findIndex(({ report }) => isSparedBy(report, entry.report));
        const [spared] = at < 0 ? [] : entries.splice(at, 1);
        entries.push({
          ...entry,
          sent() {
            spared?.sent();
            sent();
          },
        });
        running ??= run().finally(() => {
          running = undefined;
        });
      }),
    async flush() {
      while (entries.length > 0 || running) await (running ?? Promise.resolve());
    },
  };
  return outbox;
}

/** Whether nothing is lost when the later report alone is sent. */
const isSparedBy = (earlier: TaskReport, later: TaskReport): boolean =>
  earlier.planId === later.planId &&
  earlier.taskId === later.taskId &&
  earlier.attempt === later.attempt &&
  (earlier.kind === 'started' ? isEnd(later) : earlier.kind === 'progress' && later.kind === 'progress');
const isEnd = ({ kind }: TaskReport): boolean => kind === 'succeeded' || kind === 'failed';

function firstOf(entries: readonly Entry[]): readonly Entry[] {
  let bytes = 0;
  let count = 0;
  for (const { report } of entries.slice(0, batch)) {
    bytes += Buffer.byteLength(JSON.stringify(report));
    if (count > 0 && bytes > batchBytes) break;
    count += 1;
  }
  return entries.slice(0, count);
}
