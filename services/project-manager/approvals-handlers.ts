import { toJson } from '@bufbuild/protobuf';
import { timestampFromDate, ValueSchema } from '@bufbuild/protobuf/wkt';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Approvals, DecisionEnvelope } from '../../proto/aats/project/v1/project_pb';
import {
  approval,
  type ApprovalMemo,
  approvalWorkflowId,
  decide,
  type Decision,
} from '../../workflows/contracts/approval';
import { brokenRules, failure, type FieldRule } from '../../workflows/contracts/failures';
import { searchAttributes } from '../../workflows/contracts/plan';
import type { Handlers } from '../runtime/grpc';
import type { Caller } from '../runtime/identity';
import { approvalToProto, mayAnswer, outcomeToProto } from './mapping';
import { querying } from './querying';
import { updating } from './updating';
import { keys, listExecutions, quoted, refuseList } from './visibility';

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
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      // An update finds nothing also when the request is answered; only that one can still be asked.
      const known = await querying(() => handle(approvalId).query(approval)).catch((missing: unknown) => {
        throw missing instanceof WorkflowNotFoundError
          ? failure('ApprovalNotFound', `there is no request ${approvalId}`)
          : missing;
      });
      throw failure(
        'ApprovalClosed',
        `${approvalId} is ${known.status}${known.outcome?.decidedBy === undefined ? '' : ` by ${known.outcome.decidedBy}`}`,
      );
    }
  };
  return {
    async listApprovals({ view, planId, pageSize, pageToken }, { caller }) {
      const isKnown = ['', 'open', 'mine', 'done'].includes(view);
      const found = isKnown ? [] : [{ pointer: '/view', message: 'must be open, mine or done' }];
      refuseList({ planId }, { pageSize, pageToken }, found);
      const person = personOf(caller);
      const terms = [
        `${searchAttributes.kind} = 'approval'`,
        `${searchAttributes.status} ${view === 'done' ? '!=' : '='} 'open'`,
        ...(planId === '' ? [] : [`${searchAttributes.planId} = ${quoted(planId)}`]),
      ];
      const { executions, nextPageToken } = await listExecutions(client, terms.join(' and '), pageSize, pageToken);
      const approvals = executions.map((execution) => {
        const memo = execution.memo as unknown as ApprovalMemo;
        const approvalId = execution.workflowId.slice('approval/'.length);
        const status = execution.typedSearchAttributes.get(keys.status) ?? '';
        return {
          approvalId,
          planId: execution.typedSearchAttributes.get(keys.planId) ?? '',
          planTitle: memo.planTitle,
          taskId: memo.taskId,
          title: memo.title,
          status,
          by: [...memo.by],
          requestedBy: memo.requestedBy,
          requestedAt: timestampFromDate(new Date(memo.requestedAt)),
          expiresAt: timestampFromDate(new Date(memo.expiresAt)),
          waitingForYou: status === 'open' && mayAnswer(person, memo.by, memo.excluded),
          ...(execution.closeTime && { endedAt: timestampFromDate(execution.closeTime) }),
        };
      });
      return {
        approvals: view === 'mine' ? approvals.filter(({ waitingForYou }) => waitingForYou) : approvals,
        nextPageToken,
      };
    },
    async getApproval({ approvalId }, { caller }) {
      return approvalToProto(
        await about(approvalId, () => querying(() => handle(approvalId).query(approval))),
        personOf(caller),
      );
    },
    async decide({ approvalId, decision }, { caller, surface }) {
      const person = personOf(caller);
      // The table of permissions lets nobody else in; a request without a person decides nothing.
      if (!person) throw failure('PermissionDenied', 'only a person decides');
      const wrong = problemsOf(decision);
      if (!decision || wrong.length > 0) throw failure('InvalidInput', 'the answer is wrong', { details: wrong });
      const edits = decision.edits.map(({ path, value }) => ({
        path,
        value: value ? toJson(ValueSchema, value) : null,
      }));
      const decisionId = `${person.name}/${decision.decisionId}`;
      const answer: Decision = {
        decisionId,
        choice: decision.choice === 'approve' ? 'approve' : 'reject',
        edits,
        ...(decision.reason !== '' && { reason: decision.reason }),
        digest: decision.digest,
        person,
        surface,
      };
      const outcome = await about(approvalId, () =>
        updating(() => handle(approvalId).executeUpdate(decide, { updateId: decisionId, args: [answer] })),
      );
      return { outcome: outcomeToProto(outcome) };
    },
  };
}

/** Everything about an answer that is wrong before anybody looks at what it answers. */
function problemsOf(decision: DecisionEnvelope | undefined): readonly { pointer: string; message: string }[] {
  if (!decision) return [{ pointer: '/decision', message: 'is missing' }];
  const { choice, decisionId, digest, reason, edits } = decision;
  const rules: readonly FieldRule[] = [
    [choice === 'approve' || choice === 'reject', 'choice', 'must be approve or reject'],
    [
      /^[\w-]{8,64}$/.test(decisionId),
      'decisionId',
      'must be 8 to 64 letters, digits, hyphens: the same for the same answer',
    ],
    [digest !== '', 'digest', 'must be the digest of what you were shown'],
    [reason.length <= 2000, 'reason', 'must have at most 2,000 characters'],
    [new Set(edits.map(({ path }) => path)).size === edits.length, 'edits', 'must change each path once'],
  ];
  return brokenRules(rules, '/decision');
}
