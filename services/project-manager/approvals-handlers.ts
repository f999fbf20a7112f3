import { toJson } from '@bufbuild/protobuf';
import { timestampFromDate, ValueSchema } from '@bufbuild/protobuf/wkt';
import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { Approvals } from '../../proto/aats/project/v1/project_pb';
import { approval, type ApprovalMemo, approvalWorkflowId, decide } from '../../workflows/contracts/approval';
import { failure } from '../../workflows/contracts/failures';
import type { Json } from '../../workflows/contracts/json';
import { searchAttributes } from '../../workflows/contracts/plan';
import type { Handlers } from '../runtime/grpc';
import type { Caller } from '../runtime/identity';
import { approvalToProto, mayAnswer, outcomeToProto } from './mapping';
import { listExecutions, textAttribute } from './plans';

const approvalIdPattern = /^[a-z0-9][a-z0-9-]{0,62}\/[a-z][A-Za-z0-9]{0,62}\/[1-9]\d{0,5}$/;
const personOf = (caller: Caller) => (caller.kind === 'person' ? caller.person : undefined);

/** Requests to people: lists from visibility, everything else from the request's own workflow. */
export function createApprovalsHandlers(client: Client): Handlers<typeof Approvals> {
  const handle = (approvalId: string) => {
    if (!approvalIdPattern.test(approvalId))
      throw failure('ApprovalNotFound', `there is no request ${approvalId.slice(0, 150)}`);
    return client.workflow.getHandle(approvalWorkflowId(approvalId));
  };
  const about = async <T>(approvalId: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError && error.cause) throw error.cause;
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      const known = await handle(approvalId)
        .query(approval)
        .catch(() => undefined);
      if (!known) throw failure('ApprovalNotFound', `there is no request ${approvalId}`);
      throw failure(
        'ApprovalClosed',
        `${approvalId} is ${known.status}${known.outcome?.decidedBy === undefined ? '' : ` by ${known.outcome.decidedBy}`}`,
      );
    }
  };
  return {
    async listApprovals({ view, planId, pageSize, pageToken }, { caller }) {
      if (!['', 'open', 'mine', 'done'].includes(view))
        throw failure('InvalidInput', 'the view must be open, mine or done');
      if (planId !== '' && !/^[a-z0-9-]{1,63}$/.test(planId)) throw failure('InvalidInput', 'the plan id is wrong');
      const terms = [
        `${searchAttributes.kind} = 'approval'`,
        `${searchAttributes.status} ${view === 'done' ? '!=' : '='} 'open'`,
        ...(planId === '' ? [] : [`${searchAttributes.planId} = '${planId}'`]),
      ];
      const { executions, nextPageToken } = await listExecutions(client, terms.join(' and '), pageSize, pageToken);
      const person = personOf(caller);
      const approvals = executions.map((execution) => {
        const memo = execution.memo as unknown as ApprovalMemo;
        const approvalId = execution.workflowId.slice('approval/'.length);
        const status = textAttribute(execution, searchAttributes.status);
        return {
          approvalId,
          planId: textAttribute(execution, searchAttributes.planId),
          planTitle: memo.planTitle,
          taskId: memo.taskId,
          title: memo.title,
          status,
          by: [...memo.by],
          requestedBy: memo.requestedBy,
          requestedAt: timestampFromDate(new Date(memo.requestedAt)),
          expiresAt: timestampFromDate(new Date(memo.expiresAt)),
          waitingForYou: status === 'open' && mayAnswer(person, memo.by, memo.excluded),
        };
      });
      return {
        approvals: view === 'mine' ? approvals.filter(({ waitingForYou }) => waitingForYou) : approvals,
        nextPageToken,
      };
    },
    async getApproval({ approvalId }, { caller }) {
      return approvalToProto(await about(approvalId, () => handle(approvalId).query(approval)), personOf(caller));
    },
    async decide({ approvalId, decision }, { caller, surface }) {
      const person = personOf(caller);
      // The table of permissions lets nobody else in; a request without a person decides nothing.
      if (!person) throw failure('PermissionDenied', 'only a person decides');
      const wrong = [
        ...(decision === undefined ? [{ pointer: '/decision', message: 'is missing' }] : []),
        ...(decision && !['approve', 'reject'].includes(decision.choice)
          ? [{ pointer: '/decision/choice', message: 'must be approve or reject' }]
          : []),
        ...(decision && !/^[\w-]{8,64}$/.test(decision.decisionId)
          ? [
              {
                pointer: '/decision/decisionId',
                message: 'must be 8 to 64 letters, digits, hyphens: the same for the same answer',
              },
            ]
          : []),
        ...(decision?.digest === ''
          ? [{ pointer: '/decision/digest', message: 'must be the digest of what you were shown' }]
          : []),
        ...(decision && decision.reason.length > 2000
          ? [{ pointer: '/decision/reason', message: 'must have at most 2,000 characters' }]
          : []),
      ];
      if (!decision || wrong.length > 0) throw failure('InvalidInput', 'the answer is wrong', { details: wrong });
      const edits = decision.edits.map(({ path, value }) => ({
        path,
        value: (value ? toJson(ValueSchema, value) : null),
      }));
      const outcome = await about(approvalId, () =>
        handle(approvalId).executeUpdate(decide, {
          updateId: `${person.name}/${decision.decisionId}`,
          args: [
            {
              decisionId: `${person.name}/${decision.decisionId}`,
              choice: decision.choice === 'approve' ? 'approve' : 'reject',
              edits,
              ...(decision.reason !== '' && { reason: decision.reason }),
              digest: decision.digest,
              person,
              surface,
            },
          ],
        }),
      );
      return { outcome: outcomeToProto(outcome) };
    },
  };
}
