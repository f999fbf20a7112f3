import { randomUUID } from 'node:crypto';
import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { failureTypes, type FailureType, isFailureType } from '../../workflows/contracts/failures';

interface Edge {
  readonly grpc: status;
  readonly http: number;
  readonly title: string;
}

/** The one mapping of failures outward: a new type does not compile until it stands here. */
export const edgeStatus: Record<FailureType, Edge> = {
  InvalidInput: { grpc: status.INVALID_ARGUMENT, http: 400, title: 'The request is wrong' },
  PlanInvalid: { grpc: status.INVALID_ARGUMENT, http: 400, title: 'The plan is wrong' },
  PlanNotFound: { grpc: status.NOT_FOUND, http: 404, title: 'There is no such plan' },
  PlanExists: { grpc: status.ALREADY_EXISTS, http: 409, title: 'The id is taken by another plan' },
  PlanClosed: { grpc: status.FAILED_PRECONDITION, http: 409, title: 'The plan has ended' },
  PlanStateConflict: { grpc: status.FAILED_PRECONDITION, http: 409, title: 'The plan is in another state' },
  TaskNotFound: { grpc: status.NOT_FOUND, http: 404, title: 'There is no such task' },
  TaskStateConflict: { grpc: status.FAILED_PRECONDITION, http: 409, title: 'The task is in another state' },
  ApprovalNotFound: { grpc: status.NOT_FOUND, http: 404, title: 'There is no such request' },
  ApprovalClosed: { grpc: status.FAILED_PRECONDITION, http: 409, title: 'The request was answered before' },
  ApprovalSuperseded: { grpc: status.FAILED_PRECONDITION, http: 409, title: 'The request has changed' },
  NotEligible: { grpc: status.PERMISSION_DENIED, http: 403, title: 'Your answer would not count' },
  SlowReader: { grpc: status.RESOURCE_EXHAUSTED, http: 429, title: 'The reader is too slow' },
  ArtifactNotFound: { grpc: status.NOT_FOUND, http: 404, title: 'There is no such artifact' },
  ArtifactCorrupt: { grpc: status.DATA_LOSS, http: 500, title: 'The artifact is damaged' },
  TooLarge: { grpc: status.INVALID_ARGUMENT, http: 413, title: 'Too large' },
  AgentNotFound: { grpc: status.NOT_FOUND, http: 404, title: 'There is no such agent' },
  TransportConflict: { grpc: status.FAILED_PRECONDITION, http: 409, title: 'The capability has another transport' },
  Unauthenticated: { grpc: status.UNAUTHENTICATED, http: 401, title: 'Nobody is signed in' },
  PermissionDenied: { grpc: status.PERMISSION_DENIED, http: 403, title: 'Not allowed' },
  RateLimited: { grpc: status.RESOURCE_EXHAUSTED, http: 429, title: 'Too many tries' },
  BusUnavailable: { grpc: status.UNAVAILABLE, http: 503, title: 'The message bus does not answer' },
  StoreUnavailable: { grpc: status.UNAVAILABLE, http: 503, title: 'A store does not answer' },
  WorkflowUnavailable: { grpc: status.UNAVAILABLE, http: 503, title: 'Temporal does not answer' },
  Draining: { grpc: status.UNAVAILABLE, http: 503, title: 'The service is stopping' },
  DeadlineExceeded: { grpc: status.DEADLINE_EXCEEDED, http: 504, title: 'There was no answer in time' },
};

/** A failure as it crosses the edge: nothing but the closed table's words, the message and its details. */
export interface EdgeFailure {
  readonly type: FailureType | 'Internal';
  readonly message: string;
  readonly details: readonly unknown[];
}

interface FailureLike {
  readonly type?: unknown;
  readonly message?: unknown;
  readonly details?: unknown;
  readonly cause?: unknown;
}

/**
 * Total over anything thrown. The failure may be wrapped (an update's or an activity's error): the innermost one with
 * a type of the table counts. What is unknown gets a log id and no text.
 */
export function toEdgeFailure(error: unknown, logUnknown: (id: string, error: unknown) => void): EdgeFailure {
  for (let one: unknown = error, depth = 0; typeof one === 'object' && one !== null && depth < 10; depth++) {
    const { type, message, details, cause } = one as FailureLike;
    if (typeof type === 'string' && isFailureType(type))
      return {
        type,
        message: typeof message === 'string' ? message : '',
        details: Array.isArray(details) ? details : [],
      };
    one = cause;
  }
  const unavailable = temporalAway(error);
  if (unavailable) return { type: 'WorkflowUnavailable', message: 'Temporal does not answer; try again', details: [] };
  const id = randomUUID();
  logUnknown(id, error);
  return { type: 'Internal', message: `something went wrong here; the log has it under ${id}`, details: [] };
}

// A service error of Temporal's client wraps the gRPC status.
function temporalAway(error: unknown): boolean {
  for (let one = error, depth = 0; typeof one === 'object' && one !== null && depth < 5; depth++) {
    const { code, message, cause } = one as {
      readonly code?: unknown;
      readonly message?: unknown;
      readonly cause?: unknown;
    };
    if (code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED) return true;
    // A workflow whose task fails, over a fault of a release, can be neither asked nor told anything until that is mended.
    if (code === status.FAILED_PRECONDITION && typeof message === 'string' && /workflow task/i.test(message))
      return true;
    one = cause;
  }
  return false;
}

// Metadata of a gRPC answer is small by nature: many clients take 8 KiB, and one that gets more than its connection
// carries waits without end. Long lists of problems and long messages are cut there and whole over REST.
const detailsLimit = 4096;
const messageLimit = 300;
const messageBytes = 1024;
const failureHeader = 'aats-failure-bin';

/** The gRPC status of a failure; type and details travel beside it in `aats-failure-bin` as JSON. */
export function toGrpcStatus({ type, message, details }: EdgeFailure): Partial<StatusObject> {
  const metadata = new Metadata();
  let kept = details.flat();
  while (kept.length > 0 && Buffer.byteLength(JSON.stringify(kept)) > detailsLimit)
    kept = kept.slice(0, Math.floor(kept.length / 2));
  metadata.set(failureHeader, Buffer.from(JSON.stringify({ type, details: kept })));
  // By way of bytes: half a character, of the cut or of the message itself, cannot be sent.
  let text = Buffer.from(message.slice(0, messageLimit)).toString('utf8');
  // As the wire has it, where a letter that is not ASCII takes up to nine times its place.
  while (encodeURI(text).length > messageBytes) text = Array.from(text).slice(0, -16).join('');
  return { code: type === 'Internal' ? status.INTERNAL : edgeStatus[type].grpc, details: text, metadata };
}

/** RFC 9457. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance?: string;
  readonly problems?: readonly unknown[];
}

export function toProblem({ type, message, details }: EdgeFailure, instance?: string): Problem {
  const edge = type === 'Internal' ? { http: 500, title: 'Something went wrong' } : edgeStatus[type];
  const problems = details.flat();
  return {
    type: `urn:aats:failure:${type}`,
    title: edge.title,
    status: edge.http,
    detail: message,
    ...(instance !== undefined && { instance }),
    ...(problems.length > 0 && { problems }),
  };
}

/** A failure of a service, as its clients see it. */
export class ServiceFailure extends Error {
  constructor(
    readonly type: FailureType | 'Internal' | 'Cancelled',
    message: string,
    readonly details: readonly unknown[] = [],
  ) {
    super(message);
    this.name = 'ServiceFailure';
  }
  /** Whether the same call may be made again with hope. */
  get retryable(): boolean {
    return isFailureType(this.type) && failureTypes[this.type].retryable;
  }
}

/** What the transport found, without the words around it: "No connection established. Last error: Error: … Resolution note: ". */
const whyAway = (details: string): string =>
  /Last error: (?:Error: )?(.+?)\. Resolution note:/.exec(details)?.[1] ?? details;

export function fromGrpcError(error: ServiceError): ServiceFailure {
  const [packed] = error.metadata.get(failureHeader);
  if (Buffer.isBuffer(packed)) {
    const { type, details } = JSON.parse(packed.toString('utf8')) as { type: string; details: unknown[] };
    return new ServiceFailure(isFailureType(type) ? type : 'Internal', error.details, details);
  }
  if (error.code === status.CANCELLED) return new ServiceFailure('Cancelled', 'the call was cancelled');
  if (error.code === status.UNAVAILABLE || error.code === status.DEADLINE_EXCEEDED)
    return new ServiceFailure('WorkflowUnavailable', `the service does not answer: ${whyAway(error.details)}`);
  if (error.code === status.UNAUTHENTICATED) return new ServiceFailure('Unauthenticated', error.details);
  // A stream that was given up has no room for more than its code: "Bandwidth exhausted …".
  if (error.code === status.RESOURCE_EXHAUSTED)
    return new ServiceFailure(error.details.startsWith('Bandwidth') ? 'SlowReader' : 'TooLarge', error.details);
  return new ServiceFailure('Internal', error.details);
}
