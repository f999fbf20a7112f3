import type { FailureType } from '../workflows/contracts/failures';

/** Exit codes of `aats`, documented in docs/cli.md; programs may rely on them. */
export const exitCodes = {
  ok: 0,
  unexpected: 1,
  wrongInput: 2,
  notAllowed: 3,
  notFound: 4,
  conflict: 5,
  notCounted: 6,
  planFailed: 7,
  unavailable: 8,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeOf: Record<FailureType, ExitCode> = {
  InvalidInput: exitCodes.wrongInput,
  PlanInvalid: exitCodes.wrongInput,
  TooLarge: exitCodes.wrongInput,
  Unauthenticated: exitCodes.notAllowed,
  PermissionDenied: exitCodes.notAllowed,
  NotEligible: exitCodes.notAllowed,
  PlanNotFound: exitCodes.notFound,
  TaskNotFound: exitCodes.notFound,
  ApprovalNotFound: exitCodes.notFound,
  ArtifactNotFound: exitCodes.notFound,
  AgentNotFound: exitCodes.notFound,
  PlanExists: exitCodes.conflict,
  PlanClosed: exitCodes.conflict,
  PlanStateConflict: exitCodes.conflict,
  TaskStateConflict: exitCodes.conflict,
  TransportConflict: exitCodes.conflict,
  ArtifactCorrupt: exitCodes.unexpected,
  ApprovalClosed: exitCodes.notCounted,
  ApprovalSuperseded: exitCodes.notCounted,
  SlowReader: exitCodes.unavailable,
  RateLimited: exitCodes.unavailable,
  BusUnavailable: exitCodes.unavailable,
  StoreUnavailable: exitCodes.unavailable,
  WorkflowUnavailable: exitCodes.unavailable,
  Draining: exitCodes.unavailable,
  DeadlineExceeded: exitCodes.unavailable,
};

/** One thing that is wrong: where, what, and what was perhaps meant. */
export interface FailureLine {
  readonly name?: string;
  readonly message: string;
  readonly suggestion?: string;
}

/** An error that is already for a person: what is wrong, as a sentence without capital and full stop, then each thing. */
export interface CliFailure {
  readonly exitCode: ExitCode;
  readonly title: string;
  readonly lines: readonly FailureLine[];
  readonly hint?: string;
}

export class CommandFailed extends Error {
  constructor(readonly failure: CliFailure) {
    super(failure.title);
  }
}
