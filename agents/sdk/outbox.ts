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

const lingerMs = 3;
const batch = 500;
// A bus takes the messages of one call as one batch, and Kafka at most 1 MiB of it.
const batchBytes = 400 * 1024;

/** Reports leave in batches, in order, and none is dropped while the bus is away: the slots bound how many there are. */
export function createOutbox(transport: Pick<AgentTransport, 'report'>, logger: Logger): Outbox {
  const entries: Entry[] = [];
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, lingerMs));
    for (let pause = 100; entries.length > 0;) {
      const part = firstOf(entries);
      try {
        await transport.report(part);
        entries.splice(0, part.length);
        for (const { sent } of part) sent();
        pause = 100;
      } catch (error) {
        logger.warn({ err: error, waiting: entries.length }, 'reports could not be sent; tried again');
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(5000, pause * 2);
      }
    }
  };
  const outbox: Outbox = {
    add: (entry) =>
      new Promise((sent) => {
        entries.push({ ...entry, sent });
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
