import { randomUUID } from 'node:crypto';
import type { ChangeSet } from '../../workflows/contracts/plan';
import {
  type AgentHeartbeat,
  type AgentRegistration,
  eventTypes,
  type TaskDispatch,
  type TaskReport,
} from '../../workflows/contracts/messages';
import { type EventName, validateMessage } from './message-schemas';

/** Data of each event type. */
export interface EventData {
  readonly taskDispatched: TaskDispatch;
  readonly taskReported: TaskReport;
  readonly planChanged: ChangeSet;
  readonly agentRegistered: AgentRegistration;
  readonly agentHeartbeat: AgentHeartbeat;
  readonly agentDraining: { readonly agentId: string };
  readonly taskCancelled: {
    readonly attempts: readonly { readonly planId: string; readonly taskId: string; readonly attempt: number }[];
  };
  readonly messageRefused: { readonly from: string; readonly reason: string; readonly body: string };
}

/** CloudEvents 1.0 in structured JSON, with W3C trace context as its extension. */
export interface CloudEvent<T> {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly dataschema?: string;
  readonly traceparent?: string;
  readonly data: T;
}
export const contentType = 'application/cloudevents+json; charset=utf-8';

export function cloudEvent<N extends EventName>(
  name: N,
  options: {
    readonly source: string;
    readonly id?: string;
    readonly subject?: string;
    readonly traceparent?: string | undefined;
    readonly data: EventData[N];
  },
): CloudEvent<EventData[N]> {
  return {
    specversion: '1.0',
    id: options.id ?? randomUUID(),
    source: options.source,
    type: eventTypes[name],
    ...(options.subject !== undefined && { subject: options.subject }),
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    ...(options.traceparent !== undefined && { traceparent: options.traceparent }),
    data: options.data,
  };
}

/** A message that is not what it should be; the text is the reason in the dead letter. */
export class MessageRefused extends Error {}

const deepest = 100;
/** Whoever walks a value that is nested without end runs out of stack, and would do so again each time it comes. */
function isTooDeep(value: unknown): boolean {
  let level: readonly unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) return true;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? (Object.values(one) as unknown[]) : []));
  }
  return false;
}

/** Reads an event of one of these types; throws MessageRefused for anything else, whatever the bytes are. */
export function readEvent<N extends EventName>(
  bytes: Buffer | null,
  expected: readonly N[],
): { readonly [K in N]: CloudEvent<EventData[K]> & { readonly name: K } }[N] {
  let value: unknown;
  try {
    value = JSON.parse(bytes?.toString('utf8') ?? '');
  } catch {
    throw new MessageRefused('it is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new MessageRefused('it is not an object');
  if (isTooDeep(value)) throw new MessageRefused(`it is nested more than ${deepest} levels deep`);
  const event = value as Partial<CloudEvent<unknown>>;
  if (event.specversion !== '1.0' || typeof event.id !== 'string' || typeof event.source !== 'string')
    throw new MessageRefused('it is not a CloudEvent 1.0');
  const name = expected.find((one) => eventTypes[one] === event.type);
  if (!name) throw new MessageRefused(`its type ${String(event.type).slice(0, 100)} is not expected here`);
  const [problem] = validateMessage(name, event.data);
  if (problem) throw new MessageRefused(`its data does not fit: ${`${problem.pointer} ${problem.message}`.trim()}`);
  return { ...(event as CloudEvent<never>), name };
}

/** Id of the event that sends one attempt: the same however often it is sent. */
export const attemptId = ({
  planId,
  taskId,
  attempt,
}: {
  readonly planId: string;
  readonly taskId: string;
  readonly attempt: number;
}): string => `${planId}/${taskId}/${attempt}`;

/** A W3C trace parent that belongs to a plan: every message of it is one trace. */
export function traceparentOf(planId: string, spanSeed: string): string {
  const hex = (text: string, length: number): string => {
    let [a, b] = [0x811c9dc5, 0x9e3779b9];
    for (let at = 0; at < text.length; at++) {
      a = Math.imul(a ^ text.charCodeAt(at), 16777619) >>> 0;
      b = Math.imul(b ^ text.charCodeAt(text.length - 1 - at), 2246822519) >>> 0;
    }
    let out = '';
    while (out.length < length) {
      a = Math.imul(a ^ (a >>> 15), 2246822507) >>> 0;
      b = Math.imul(b ^ (b >>> 13), 3266489909) >>> 0;
      out += a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0');
    }
    return out.slice(0, length);
  };
  return `00-${hex(planId, 32)}-${hex(spanSeed, 16)}-01`;
}

/** The trace of a plan's messages. */
export const traceIdOf = (planId: string): string => traceparentOf(planId, '').slice(3, 35);
