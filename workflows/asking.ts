import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { getExternalWorkflowHandle, isCancellation, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { type ApprovalMemo, type ApprovalRequest, approvalWorkflowId, withdraw } from './contracts/approval';
import type { approvalWorkflow } from './approval';
import { attributeList, keys, summaryText } from './visibility';

// The server refuses more than 2,000 pending starts or signals of one workflow, and the workflow would hang.
const atOnce = 500;

/** Opens a gate for each request, and closes those that are asked no more. Repeated, it changes nothing. */
export async function ask(requests: readonly ApprovalRequest[], withdrawals: readonly string[]): Promise<void> {
  for (let at = 0; at < requests.length; at += atOnce)
    await Promise.all(requests.slice(at, at + atOnce).map(openRequest));
  for (let at = 0; at < withdrawals.length; at += atOnce)
    await Promise.all(withdrawals.slice(at, at + atOnce).map(withdrawRequest));
}

/** A gate is a child that outlives this run, and also the plan's continuing as new. The same request again is one. */
async function openRequest(request: ApprovalRequest): Promise<void> {
  const memo: ApprovalMemo = {
    title: request.title.slice(0, 300),
    planTitle: request.planTitle.slice(0, 200),
    taskId: request.taskId,
    by: request.by,
    excluded: request.excluded,
    requestedBy: request.requestedBy,
    requestedAt: request.requestedAt,
    expiresAt: request.expiresAt,
  };
  try {
    await startChild<typeof approvalWorkflow>('approvalWorkflow', {
      args: [request],
      workflowId: approvalWorkflowId(request.approvalId),
      parentClosePolicy: ParentClosePolicy.ABANDON,
      memo: { ...memo },
      staticSummary: summaryText(request.title),
      typedSearchAttributes: [
        { key: keys.kind, value: 'approval' },
        { key: keys.planId, value: request.planId },
        { key: keys.planName, value: request.planName },
        { key: keys.status, value: 'open' },
        { key: keys.owner, value: request.requestedBy },
        { key: keys.waitingForPerson, value: true },
        { key: keys.waitingFor, value: attributeList(request.by) },
      ],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

async function withdrawRequest(approvalId: string): Promise<void> {
  try {
    await getExternalWorkflowHandle(approvalWorkflowId(approvalId)).signal(withdraw, {
      reason: 'the plan no longer asks',
    });
  } catch (error) {
    if (isCancellation(error)) throw error; // otherwise it has ended already, which is what is wanted
  }
}
