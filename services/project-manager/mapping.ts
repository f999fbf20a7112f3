import type { JsonObject as ProtoJson, JsonValue, MessageInitShape } from '@bufbuild/protobuf';
import { fromJson } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromDate, ValueSchema } from '@bufbuild/protobuf/wkt';
import type {
  ApprovalOutcomeSchema,
  AttemptSchema,
  GetApprovalResponseSchema,
  PlanSummarySchema,
  ProblemSchema,
  TaskStateSchema,
} from '../../proto/aats/project/v1/project_pb';
import type { ApprovalOutcome, ApprovalView } from '../../workflows/contracts/approval';
import type { Json, JsonObject } from '../../workflows/contracts/json';
import { isOneOf, type Person } from '../../workflows/contracts/people';
import type { AttemptView, PlanHeader, TaskView } from '../../workflows/contracts/plan';
import type { Problem } from '../../workflows/plan-problems';

const time = (iso: string): Timestamp => timestampFromDate(new Date(iso));
export const toStruct = (value: JsonObject): ProtoJson => value as ProtoJson;
export const toValue = (value: Json) => fromJson(ValueSchema, value as JsonValue);

export const planToProto = (plan: PlanHeader): MessageInitShape<typeof PlanSummarySchema> => ({
  planId: plan.planId,
  name: plan.name,
  title: plan.title,
  owner: plan.owner,
  state: plan.state,
  compensation: plan.compensation,
  startedAt: time(plan.startedAt),
  ...(plan.endedAt !== undefined && { endedAt: time(plan.endedAt) }),
  cursor: BigInt(plan.cursor),
  counts: { ...plan.counts },
  taskCount: plan.taskCount,
  waitingFor: plan.waitingFor.map((one) => ({
    approvalId: one.approvalId,
    taskId: one.taskId,
    title: one.title,
    by: [...one.by],
    since: time(one.since),
  })),
  ...(plan.failure && { failure: { ...plan.failure } }),
  ...(plan.result !== undefined && { result: toValue(plan.result) }),
  ...(plan.resultProblem !== undefined && { resultProblem: plan.resultProblem }),
});

export const taskToProto = (task: TaskView): MessageInitShape<typeof TaskStateSchema> => ({
  id: task.id,
  title: task.title,
  capability: task.capability,
  state: task.state,
  attempt: task.attempt,
  needs: [...task.needs],
  after: [...task.after],
  ...(task.parent !== undefined && { parent: task.parent }),
  ...(task.readyAt !== undefined && { readyAt: time(task.readyAt) }),
  ...(task.startedAt !== undefined && { startedAt: time(task.startedAt) }),
  ...(task.endedAt !== undefined && { endedAt: time(task.endedAt) }),
  ...(task.agent !== undefined && { agent: task.agent }),
  ...(task.failure && { failure: { ...task.failure } }),
  ...(task.reason !== undefined && { reason: task.reason }),
  ...(task.approvalId !== undefined && { approvalId: task.approvalId }),
  items: { ...task.items },
  hasCompensation: task.hasCompensation === true,
});

export const attemptToProto = (one: AttemptView): MessageInitShape<typeof AttemptSchema> => ({
  attempt: one.attempt,
  state: one.state,
  ...(one.agent !== undefined && { agent: one.agent }),
  ...(one.dispatchedAt !== undefined && { dispatchedAt: time(one.dispatchedAt) }),
  ...(one.startedAt !== undefined && { startedAt: time(one.startedAt) }),
  ...(one.endedAt !== undefined && { endedAt: time(one.endedAt) }),
  ...(one.failure && { failure: { ...one.failure } }),
});

export const problemToProto = ({
  severity,
  code,
  pointer,
  line,
  message,
}: Problem): MessageInitShape<typeof ProblemSchema> => ({ severity, code, pointer, line, message });

export const outcomeToProto = (outcome: ApprovalOutcome): MessageInitShape<typeof ApprovalOutcomeSchema> => ({
  status: outcome.status,
  decidedBy: outcome.decidedBy ?? '',
  reason: outcome.reason ?? '',
  surface: outcome.surface ?? '',
  at: time(outcome.at),
  digest: outcome.digest,
  ...(outcome.subject && { subject: toStruct(outcome.subject) }),
});

/** Whether this person's answer would count now. */
export const mayAnswer = (person: Person | undefined, by: readonly string[], excluded: readonly string[]): boolean =>
  person !== undefined &&
  isOneOf(person, by) &&
  !excluded.includes(person.name) &&
  person.roles.some((role) => role !== 'aats-viewer');

export function approvalToProto(
  { request, status, outcome }: ApprovalView,
  person: Person | undefined,
): MessageInitShape<typeof GetApprovalResponseSchema> {
  return {
    approval: {
      approvalId: request.approvalId,
      planId: request.planId,
      planTitle: request.planTitle,
      taskId: request.taskId,
      title: request.title,
      status,
      by: [...request.by],
      requestedBy: request.requestedBy,
      requestedAt: time(request.requestedAt),
      expiresAt: time(request.expiresAt),
      waitingForYou: status === 'open' && mayAnswer(person, request.by, request.excluded),
      ...(outcome && { endedAt: time(outcome.at) }),
    },
    taskTitle: request.taskTitle,
    planName: request.planName,
    capability: request.capability,
    at: request.at,
    ...(request.message !== undefined && { message: request.message }),
    subject: toStruct(request.subject),
    show: request.show.map(({ title, value }) => ({ title, value: toValue(value) })),
    editable: request.editable.map(({ path, schema }) => ({ path, schema: toStruct(schema) })),
    excluded: [...request.excluded],
    reasonRequired: request.reasonRequired,
    onExpiry: request.onExpiry,
    digest: request.digest,
    ...(outcome && { outcome: outcomeToProto(outcome) }),
    round: request.round,
  };
}
