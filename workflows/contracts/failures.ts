import { ApplicationFailure } from '@temporalio/common';

/**
 * Every failure a caller may tell apart, and whether trying again can help.
 *
 * The key travels as `ApplicationFailure.type`, so it is part of recorded
 * histories: add keys freely, never rename one.
 */
export const failureTypes = {
  InvalidInput: { retryable: false },
  PlanInvalid: { retryable: false },
  PlanNotFound: { retryable: false },
  PlanExists: { retryable: false },
  PlanClosed: { retryable: false },
  PlanStateConflict: { retryable: false },
  TaskNotFound: { retryable: false },
  TaskStateConflict: { retryable: false },
  ApprovalNotFound: { retryable: false },
  ApprovalClosed: { retryable: false },
  ApprovalSuperseded: { retryable: false },
  NotEligible: { retryable: false },
  SlowReader: { retryable: true },
  ArtifactNotFound: { retryable: false },
  ArtifactCorrupt: { retryable: false },
  TooLarge: { retryable: false },
  AgentNotFound: { retryable: false },
  TransportConflict: { retryable: false },
  Unauthenticated: { retryable: false },
  PermissionDenied: { retryable: false },
  RateLimited: { retryable: true },
  BusUnavailable: { retryable: true },
  StoreUnavailable: { retryable: true },
  WorkflowUnavailable: { retryable: true },
  Draining: { retryable: true },
  DeadlineExceeded: { retryable: true },
} as const;
export type FailureType = keyof typeof failureTypes;

/** A failure of the closed table; `details` reach the caller (problems, states), never secrets. */
export function failure(
  type: FailureType,
  message: string,
  options: { readonly cause?: Error; readonly details?: readonly unknown[] } = {},
): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: !failureTypes[type].retryable,
    ...(options.cause && { cause: options.cause }),
    ...(options.details && { details: [...options.details] }),
  });
}

/** What must be true of a field, and what is said of one of which it is not. */
export type FieldRule = readonly [isRight: boolean, field: string, message: string];

/** Every broken rule as a detail of InvalidInput; `at` is the JSON Pointer of what has the fields. */
export const brokenRules = (
  rules: readonly FieldRule[],
  at = '',
): readonly { readonly pointer: string; readonly message: string }[] =>
  rules.flatMap(([isRight, field, message]) => (isRight ? [] : [{ pointer: `${at}/${field}`, message }]));

export function isFailureType(type: string | null | undefined): type is FailureType {
  return type !== null && type !== undefined && Object.hasOwn(failureTypes, type);
}
