import type { Producer } from 'kafkajs';
import { attemptId, cloudEvent, MessageRefused, readEvent } from '../../activities/buses/cloud-event';
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
  /** Leases of what began and still runs are made, of what ended given up: one call each, however many there are. */
  const keepLeases = async (reports: readonly TaskReport[]): Promise<void> => {
    const ends = reports.filter(({ kind }) => kind !== 'started' && kind !== 'progress');
    const ended = new Set(ends.map(attemptId));
    const begun = reports
      .filter((report) => report.kind === 'started')
      .filter((report) => !ended.has(attemptId(report)));
    // A lease that cannot be kept now is made again by the next heartbeat.
    await Promise.all([presence.lease(begun), presence.release(ends)]).catch(observe.leaseProblem);
  };
  const passOn = async (progress: readonly TaskReport[]): Promise<void> => {
    if (progress.length === 0) return;
    const events = progress.map((data) => cloudEvent('taskReported', { source, subject: data.planId, data }));
    await producer.send({
      topic: topics.plans,
      acks: acknowledgedByAll,
      messages: events.map((event) => ({ key: event.data.planId, value: JSON.stringify(event) })),
    });
  };
  const shrink = async (report: TaskReport): Promise<TaskReport> =>
    report.kind === 'succeeded' && Buffer.byteLength(JSON.stringify(report.output)) > inlineLimitBytes
      ? { ...report, output: await storeOutput(report, report.output) }
      : report;
  return async (messages: readonly Message[], onOther?: (event: AgentEvent) => Promise<void>): Promise<void> => {
    const reports: TaskReport[] = [];
    for (const message of messages) {
      try {
        const event = readAny(message.value);
        if (event.name === 'taskReported') reports.push(event.data);
        else if (onOther) await onOther(event);
        else throw new MessageRefused('agents register here over RabbitMQ or gRPC');
      } catch (error) {
        if (!(error instanceof MessageRefused)) throw error;
        await refuse(message, error.message);
      }
    }
    for (const { kind } of reports) observe.report(kind);
    await Promise.all([
      keepLeases(reports),
      passOn(reports.filter(({ kind }) => kind === 'progress')),
      ...[...byPlan(reports.filter(({ kind }) => kind !== 'progress'))].map(async ([planId, ofPlan]) => {
        const small = [];
        for (const report of ofPlan) small.push(await shrink(report));
        await gatherer.accept(planId, small);
      }),
    ]);
  };
}

function byPlan(reports: readonly TaskReport[]): ReadonlyMap<string, readonly TaskReport[]> {
  const grouped = new Map<string, TaskReport[]>();
  for (const report of reports) {
    const known = grouped.get(report.planId);
    if (known) known.push(report);
    else grouped.set(report.planId, [report]);
  }
  return grouped;
}

const readAny = (value: Buffer | null) =>
  readEvent(value, ['taskReported', 'agentRegistered', 'agentHeartbeat', 'agentDraining']);
export type AgentEvent = ReturnType<typeof readAny>;
