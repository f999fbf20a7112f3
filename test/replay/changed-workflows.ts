import { condition } from '@temporalio/workflow';
import { approvalWorkflow as originalApproval } from '../../workflows/approval';
import type { ApprovalOutcome, ApprovalRequest } from '../../workflows/contracts/approval';
import type { PlanOutcome, PlanStart } from '../../workflows/contracts/plan';
import { planWorkflow as originalPlan } from '../../workflows/plan';

/** The workflows with one timer more: a replay must notice. */
export async function planWorkflow(start: PlanStart): Promise<PlanOutcome> {
  await condition(() => false, '1 second');
  return originalPlan(start);
}
export async function approvalWorkflow(request: ApprovalRequest): Promise<ApprovalOutcome> {
  await condition(() => false, '1 second');
  return originalApproval(request);
}
