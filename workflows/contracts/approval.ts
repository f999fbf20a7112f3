import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Json, JsonObject, JsonSchema } from './json';
import type { Person, Who } from './people';

/** Everything a person is shown and may decide about; the digest covers all of it but the times. */
export interface ApprovalRequest {
  /** `<planId>/<taskId>/<round>`; a gate that is asked anew is a new round. */
  readonly approvalId: string;
  readonly planId: string;
  readonly planName: string;
  readonly planTitle: string;
  readonly taskId: string;
  readonly taskTitle: string;
  readonly round: number;
  readonly capability: string;
  /** before: may it run, with these arguments? after: is the result good? */
  readonly at: 'before' | 'after';
  readonly title: string;
  readonly message?: string;
  /** Evaluated arguments of the task, or its result when `at` is after. */
  readonly subject: JsonObject;
  readonly show: readonly { readonly title: string; readonly value: Json }[];
  readonly editable: readonly { readonly path: string; readonly schema: JsonSchema }[];
  readonly by: readonly Who[];
  /** People who do not count because of four eyes: the requester and the plan's author. */
  readonly excluded: readonly string[];
  readonly reasonRequired: boolean;
  readonly requestedBy: string;
  readonly requestedAt: string;
  readonly expiresAt: string;
  readonly onExpiry: 'reject' | 'pause';
  /** `sha256:` over RFC 8785 of what is shown (`approvalDigest`). */
  readonly digest: string;
}

/** A person's answer; `person` comes from the verified token. The envelope leaves room for the signed statement. */
export interface Decision {
  /** Chosen by the client: the same id again gets the first answer. */
  readonly decisionId: string;
  readonly choice: 'approve' | 'reject';
  readonly edits: readonly { readonly path: string; readonly value: Json }[];
  readonly reason?: string;
  /** Digest of what the person was shown; another one is refused (ApprovalSuperseded). */
  readonly digest: string;
  readonly person: Person;
  readonly surface: 'web' | 'cli' | 'rest' | 'grpc';
}

export interface ApprovalOutcome {
  readonly approvalId: string;
  readonly status: 'approved' | 'rejected' | 'expired' | 'withdrawn';
  readonly decidedBy?: string;
  readonly reason?: string;
  readonly surface?: Decision['surface'];
  readonly at: string;
  /** Digest of the request that was decided. */
  readonly digest: string;
  /** Edited arguments, when something was edited. */
  readonly subject?: JsonObject;
}

export interface ApprovalView {
  readonly request: ApprovalRequest;
  readonly status: 'open' | ApprovalOutcome['status'];
  readonly outcome?: ApprovalOutcome;
}

/** Decides; the answer says whether it counted. Fails with ApprovalClosed, ApprovalSuperseded, NotEligible, InvalidInput. */
export const decide = defineUpdate<ApprovalOutcome, [Decision]>('decide');
/** The plan no longer asks (cancelled, failed, revised). Idempotent. */
export const withdraw = defineSignal<[{ readonly reason: string }]>('withdraw');
export const approval = defineQuery<ApprovalView>('approval');
/** Sent to the plan by workflow id; the plan checks that it asked for just this. */
export const approvalDecided = defineSignal<[ApprovalOutcome]>('approvalDecided');

export const approvalWorkflowId = (approvalId: string): string => `approval/${approvalId}`;
export const approvalIdOf = (planId: string, taskId: string, round: number): string => `${planId}/${taskId}/${round}`;

/** Memo of an approval's workflow, at most 2 KiB: what the inbox shows without asking each workflow. */
export interface ApprovalMemo {
  readonly title: string;
  readonly planTitle: string;
  readonly taskId: string;
  readonly by: readonly Who[];
  readonly excluded: readonly string[];
  readonly requestedBy: string;
  readonly requestedAt: string;
  readonly expiresAt: string;
}
