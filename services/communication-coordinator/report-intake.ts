import type { Producer } from 'kafkajs';
import { cloudEvent, MessageRefused, readEvent } from '../../activities/buses/cloud-event';
import { acknowledgedByAll } from '../../activities/buses/kafka';
import type { Presence } from '../../activities/stores/presence';
import type { Json } from '../../workflows/contracts/json';
import { type TaskReport, topics } from '../../workflows/contracts/messages';
import { inlineLimitBytes } from '../../workflows/contracts/plan';
import type { ReportGatherer } from './report-gatherer';

export interface IntakeOptions {
  readonly gatherer: ReportGatherer;
  readonly presence: Presence;
  readonly producer: Producer;
  /** Stores a result that is too large to travel and gives its reference. */
  readonly storeOutput: (report: TaskReport, output: Json) => Promise<Json>;
  readonly observe: { report(kind: string): void; deadLetter(from: string): void; leaseProblem(error: unknown): void };
}
export interface Message {
  readonly value: Buffer | null;
  /** Topic or queue. */
  readonly from: string;
}

const source = 'aats/communication-coordinator';

/**
 * Takes messages of agents, of either bus. Resolves when all of them may be forgotten: reports are accepted by Temporal,
 * progress is passed on, and what cannot be read lies in the dead letters with the reason. Twice is harmless.
 */
export function createReportIntake({ gatherer, presence, producer, storeOutput, observe }: IntakeOptions) {
  const refuse = async ({ value, from }: Message, reason: string): Promise<void> => {
    observe.deadLetter(from);
    const body = (value ?? Buffer.alloc(0)).subarray(0, 64 * 1024).toString('utf8');
    await producer.send({
      topic: topics.deadLetters,
      acks: acknowledgedByAll,
      messages: [
        { key: from, value: JSON.stringify(cloudEvent('messageRefused', { source, data: { from, reason, body } })) },
      ],
    });
  };
  const onReport = async (report: TaskReport): Promise<TaskReport | undefined> => {
    observe.report(report.kind);
    switch (report.kind) {
      case 'progress':
        await producer.send({
          topic: topics.plans,
          acks: acknowledgedByAll,
          messages: [
            {
              key: report.planId,
              value: JSON.stringify(cloudEvent('taskReported', { source, subject: report.planId, data: report })),
            },
          ],
        });
        return undefined;
      case 'started':
        // A lease that cannot be kept now is made again by the next heartbeat.
        await presence.lease(report, report.agent, report.heartbeatMs).catch(observe.leaseProblem);
        return report;
      case 'succeeded':
        await presence.release(report, report.agent).catch(observe.leaseProblem);
        return Buffer.byteLength(JSON.stringify(report.output)) > inlineLimitBytes
          ? { ...report, output: await storeOutput(report, report.output) }
          : report;
      case 'failed':
      case 'lost':
        await presence.release(report, report.agent).catch(observe.leaseProblem);
        return report;
    }
  };
  return async (
    messages: readonly Message[],
    onOther?: (event: ReturnType<typeof readAny>) => Promise<void>,
  ): Promise<void> => {
    const byPlan = new Map<string, TaskReport[]>();
    for (const message of messages) {
      try {
        const event = readAny(message.value);
        if (event.name === 'taskReported') {
          const report = await onReport(event.data);
          if (report) byPlan.set(report.planId, [...(byPlan.get(report.planId) ?? []), report]);
        } else if (onOther) await onOther(event);
        else throw new MessageRefused('agents register here over RabbitMQ or gRPC');
      } catch (error) {
        if (!(error instanceof MessageRefused)) throw error;
        await refuse(message, error.message);
      }
    }
    await Promise.all([...byPlan].map(([planId, reports]) => gatherer.accept(planId, reports)));
  };
}

const readAny = (value: Buffer | null) =>
  readEvent(value, ['taskReported', 'agentRegistered', 'agentHeartbeat', 'agentDraining']);
export type AgentEvent = ReturnType<typeof readAny>;
