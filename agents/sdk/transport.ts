import type { TaskDispatch, TaskReport } from '../../workflows/contracts/messages';

/** One task as it came from a bus. */
export interface Delivery {
  readonly task: TaskDispatch;
  readonly traceparent?: string;
}
/** A bus, as an agent needs it: the same for Kafka and RabbitMQ. */
export interface AgentTransport {
  /**
   * Takes tasks. `take` resolves once the task has begun here and that was reported: only then is the message
   * acknowledged, so a task whose agent dies before is given to another one. It waits while no slot is free.
   */
  start(take: (delivery: Delivery) => Promise<void>): Promise<void>;
  /** Resolves when the bus has confirmed; reports of one attempt keep their order. */
  report(
    reports: readonly { readonly capability: string; readonly report: TaskReport; readonly traceparent?: string }[],
  ): Promise<void>;
  /** Takes nothing new. */
  stopTaking(): Promise<void>;
  close(): Promise<void>;
}
