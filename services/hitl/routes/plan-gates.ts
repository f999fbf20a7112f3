import type { GetApprovalResponse, PlanSummary } from '../../../proto/aats/project/v1/project_pb';
import type { Gate } from '../page/gates';
import { dateOf } from '../page/words';
import type { Upstream } from '../upstream';

export interface GateReader {
  /** Answered requests, by their ids; an answer never changes, so each is read once. Never rejects. */
  answered(approvalIds: readonly string[], token: string): Promise<ReadonlyMap<string, Gate>>;
  /** The requests of a plan, each from its own workflow. Never rejects: what cannot be read now is missing on the page. */
  of(plan: PlanSummary, token: string): Promise<readonly Gate[]>;
}

// More than anybody follows in one plan.
const asked = 50;
const kept = 2000;

/** What a request says of itself never changes, nor does an answer: each is read once in this process. */
export function createGateReader({ approvals }: Pick<Upstream, 'approvals'>): GateReader {
  const known = new Map<string, Gate>();
  const keep = (gate: Gate): Gate => {
    known.delete(gate.approvalId);
    known.set(gate.approvalId, gate);
    const [oldest] = known.keys();
    if (known.size > kept && oldest !== undefined) known.delete(oldest);
    return gate;
  };
  const read = async (approvalId: string, isOpen: boolean, token: string): Promise<Gate | undefined> => {
    const gate = known.get(approvalId);
    if (gate && (gate.status !== 'open' || isOpen)) return gate;
    return approvals.getApproval({ approvalId }, { token, timeoutMs: 5000 }).then(
      (answer) => {
        const found = gateOf(answer);
        return found && keep(found);
      },
      () => undefined,
    );
  };
  return {
    async answered(approvalIds, token) {
      const found = await Promise.all(approvalIds.map((id) => read(id, false, token)));
      return new Map(found.flatMap((gate) => (gate ? [[gate.approvalId, gate]] : [])));
    },
    async of({ planId, waitingFor }, token) {
      const list = (view: 'open' | 'done'): Promise<readonly string[]> =>
        approvals.listApprovals({ view, planId, pageSize: asked }, { token, timeoutMs: 5000 }).then(
          (answer) => answer.approvals.map(({ approvalId }) => approvalId),
          () => [],
        );
      const open = new Set(waitingFor.map(({ approvalId }) => approvalId));
      const listed = await Promise.all([list('open'), list('done')]);
      // The lists come a moment late; the plan itself knows for what it waits now.
      const ids = [...new Set([...open, ...listed.flat()])].slice(0, asked);
      const found = await Promise.all(ids.map((id) => read(id, open.has(id), token)));
      return found.filter((gate) => gate !== undefined);
    },
  };
}

function gateOf({ approval, outcome, at, round }: GetApprovalResponse): Gate | undefined {
  const requestedAt = dateOf(approval?.requestedAt);
  if (!approval || !requestedAt) return undefined;
  return {
    approvalId: approval.approvalId,
    taskId: approval.taskId,
    title: approval.title,
    status: approval.status,
    at: at === 'after' ? 'after' : 'before',
    by: approval.by,
    round,
    requestedAt,
    answeredAt: dateOf(outcome?.at),
    decidedBy: outcome?.decidedBy === '' ? undefined : outcome?.decidedBy,
    isEdited: outcome?.subject !== undefined,
    reason: outcome?.reason ?? '',
  };
}
