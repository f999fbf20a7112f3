import type { TaskDispatch, TaskReport } from '../../workflows/contracts/messages';
import type { Slot, Slots } from './slots';

/** One task as it came from a bus. */
export interface Delivery {
  readonly task: TaskDispatch;
  /** When it was put on the bus, ms since the epoch by that clock; NaN when it does not say. */
  readonly sentAt: number;
  readonly traceparent?: string;
}
/** What an agent does with tasks, as its bus sees it. */
export interface Intake {
  /** A bus takes a slot before it hands over a task: what no slot is free for stays where others can get it. */
  readonly slots: Pick<Slots, 'now' | 'next'>;
  /**
   * Begins the task in this slot; resolves once the bus has confirmed the report of that. Only then may the message be
   * acknowledged, so that a task whose agent dies before is given to another one.
   */
  begin(delivery: Delivery, slot: Slot): Promise<void>;
}
/** A bus, as an agent needs it: the same for Kafka and RabbitMQ. */
export interface AgentTransport {
  start(intake: Intake): Promise<void>;
  /** Resolves when the bus has confirmed; reports of one attempt keep their order. */
  report(
    reports: readonly { readonly capability: string; readonly report: TaskReport; readonly traceparent?: string }[],
  ): Promise<void>;
  /** Takes nothing new; what waits for a slot goes back. */
  stopTaking(): Promise<void>;
  close(): Promise<void>;
}
