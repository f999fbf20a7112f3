import {
  allHandlersFinished,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { applyEdits, longestReason, refuseDecision } from './approval-policy';
import {
  approval,
  approvalDecided,
  type ApprovalOutcome,
  type ApprovalRequest,
  decide,
  type Decision,
  withdraw,
} from './contracts/approval';
import { failure } from './contracts/failures';
import { planWorkflowId } from './contracts/plan';
import { keys } from './visibility';

/**
 * Waits for one human decision, for the request to expire, or for the plan to withdraw it.
 *
 * Deciding is an Update, not a Signal: whoever clicks must learn at once whether their decision counted. Nothing ever
 * approves by itself: the only timer here rejects, or tells the plan to pause and leaves the request open.
 */
export async function approvalWorkflow(request: ApprovalRequest): Promise<ApprovalOutcome> {
  let settled: ApprovalOutcome | undefined;
  let accepted: Decision | undefined;

  setHandler(approval, () => ({ request, status: settled?.status ?? 'open', ...(settled && { outcome: settled }) }));
  setHandler(
    decide,
    (decision) => {
      // The same decision again, sent because its answer was lost, gets the first answer.
      if (settled && accepted?.decisionId === decision.decisionId) return settled;
      if (settled)
        throw failure(
          'ApprovalClosed',
          `${request.approvalId} is ${settled.status}${settled.decidedBy === undefined ? '' : ` by ${settled.decidedBy}`}`,
        );
      refuseDecision(request, decision);
      accepted = decision;
      settled = {
        approvalId: request.approvalId,
        status: decision.choice === 'approve' ? 'approved' : 'rejected',
        decidedBy: decision.person.name,
        ...(decision.reason !== undefined && decision.reason !== '' && { reason: decision.reason }),
        surface: decision.surface,
        at: new Date().toISOString(),
        digest: request.digest,
        ...(decision.edits.length > 0 && { subject: applyEdits(request, decision.edits) }),
      };
      return settled;
    },
    {
      // Synchronous, and without any change: validators are skipped in a replay.
      validator: (decision: Decision) => {
        if (settled && accepted?.decisionId === decision.decisionId) return;
        if (settled)
          throw failure(
            'ApprovalClosed',
            `${request.approvalId} is ${settled.status}${settled.decidedBy === undefined ? '' : ` by ${settled.decidedBy}`}`,
          );
        refuseDecision(request, decision);
      },
    },
  );
  setHandler(withdraw, (given: { readonly reason?: unknown } | null | undefined) => {
    settled ??= {
      approvalId: request.approvalId,
      status: 'withdrawn',
      // Whoever may reach Temporal can send a signal, and a throw would park the approval.
      reason: typeof given?.reason === 'string' ? given.reason.slice(0, longestReason) : '',
      at: new Date().toISOString(),
      digest: request.digest,
    };
  });
  setCurrentDetails(`**${request.title}**\n\nwaits for ${request.by.join(', ')} until ${request.expiresAt}`);

  const left = Date.parse(request.expiresAt) - Date.now();
  void sleep(Math.max(1, left)).then(
    async () => {
      if (settled) return;
      const expired: ApprovalOutcome = {
        approvalId: request.approvalId,
        status: 'expired',
        at: new Date().toISOString(),
        digest: request.digest,
      };
      if (request.onExpiry === 'reject') settled = expired;
      else await tellPlan(request, expired);
    },
    () => undefined,
  );

  await condition(() => settled !== undefined);
  const outcome = settled as unknown as ApprovalOutcome;
  upsertSearchAttributes([
    { key: keys.status, value: outcome.status },
    { key: keys.waitingForPerson, value: false },
    { key: keys.waitingFor, value: [] },
  ]);
  setCurrentDetails(
    `**${request.title}**\n\n${outcome.status}${outcome.decidedBy === undefined ? '' : ` by ${outcome.decidedBy}`}`,
  );
  if (outcome.status !== 'withdrawn') {
    await tellPlan(request, outcome);
  }
  await condition(allHandlersFinished);
  return outcome;
}

/** By workflow id without run id, so that it also finds the plan after it continued as new; a plan that is gone needs nothing. */
async function tellPlan(request: ApprovalRequest, outcome: ApprovalOutcome): Promise<void> {
  try {
    await getExternalWorkflowHandle(planWorkflowId(request.planId)).signal(approvalDecided, outcome);
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}
