import type { Producer } from 'kafkajs';
import { ApplicationFailure } from '@temporalio/common';
import {
  attemptId,
  type CloudEvent,
  cloudEvent,
  type EventData,
  MessageRefused,
  readEvent,
} from '../../activities/buses/cloud-event';
import { acknowledgedByAll } from '../../activities/buses/kafka';
import { byPlan } from '../../activities/by-plan';
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
  /** Keeps what cannot be read where people find it, on the bus that it came from; resolves once that has it. */
  readonly bury: (message: Message, event: CloudEvent<EventData['messageRefused']>) => Promise<void>;
  /** What agents that have only the bus say of themselves; rejects, not to be tried again, when it cannot be. */
  readonly onAgent: (event: AgentEvent) => Promise<void>;
  readonly observe: {
    report(kind: string): void;
    deadLetter(from: string): void;
    leaseProblem(error: unknown): void;
    progressLost(error: unknown): void;
  };
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
export function createReportIntake(options: IntakeOptions) {
  const { gatherer, presence, producer, storeOutput, bury, onAgent, observe } = options;
  const refuse = async (message: Message, reason: string): Promise<void> => {
    observe.deadLetter(message.from);
    const body = (message.value ?? Buffer.alloc(0)).subarray(0, 64 * 1024).toString('utf8');
    const data = { from: message.from, reason, body };
    await bury(message, cloudEvent('messageRefused', { source, traceparent: traceparentIn(body), data }));
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
  /** Nobody keeps progress anyway: it does not hold up what counts. */
  const passOn = async (progress: readonly Report[]): Promise<void> => {
    if (progress.length === 0) return;
    const events = progress.map(({ data, traceparent }) =>
      cloudEvent('taskReported', { source, subject: data.planId, traceparent, data }),
    );
    await producer
      .send({
        topic: topics.plans,
        acks: acknowledgedByAll,
        messages: events.map((event) => ({ key: event.data.planId, value: JSON.stringify(event) })),
      })
      .catch(observe.progressLost);
  };
  const shrink = async (report: TaskReport): Promise<TaskReport> =>
    report.kind === 'succeeded' && Buffer.byteLength(JSON.stringify(report.output)) > inlineLimitBytes
      ? { ...report, output: await storeOutput(report, report.output) }
      : report;
  return async (messages: readonly Message[]): Promise<void> => {
    const events: Report[] = [];
    for (const message of messages) {
      try {
        const event = readAny(message.value);
        if (event.name === 'taskReported') events.push(event);
        else await onAgent(event);
      } catch (error) {
        const isFinal = error instanceof MessageRefused || (error instanceof ApplicationFailure && error.nonRetryable);
        if (!isFinal) throw error;
        await refuse(message, error.message);
      }
    }
    const reports = events.map(({ data }) => data);
    for (const { kind } of reports) observe.report(kind);
    await Promise.all([
      keepLeases(reports),
      passOn(events.filter(({ data }) => data.kind === 'progress')),
      ...[...byPlan(reports.filter(({ kind }) => kind !== 'progress'))].map(async ([planId, ofPlan]) => {
        const small = [];
        for (const report of ofPlan) small.push(await shrink(report));
        await gatherer.accept(planId, small);
      }),
    ]);
  };
}

/** The trace of a message of which nothing else may be believed. */
const traceparentIn = (body: string): string | undefined =>
  /"traceparent"\s*:\s*"([\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2})"/.exec(body)?.[1];

const readAny = (value: Buffer | null) =>
  readEvent(value, ['taskReported', 'agentRegistered', 'agentHeartbeat', 'agentDraining']);
type AnyEvent = ReturnType<typeof readAny>;
type Report = Extract<AnyEvent, { readonly name: 'taskReported' }>;
export type AgentEvent = Exclude<AnyEvent, Report>;
