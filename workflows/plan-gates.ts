import type { ApprovalOutcome, ApprovalRequest } from './contracts/approval';
import { approvalIdOf } from './contracts/approval';
import { type Json, jsonBytes, type JsonObject } from './contracts/json';
import type { ApprovalDefinition } from './contracts/plan-definition';
import { longestReason } from './approval-policy';
import { approvalDigest } from './digest';
import { ExpressionFailure, evaluateToText, evaluateValue } from './expressions';
import { fail, succeed } from './plan-outcome';
import { scopeFor } from './plan-scope';
import { definitionOf, enter, enterPlan, type PlanRun, runsOf, type TaskRun } from './plan-state';

/** The server holds at most 2,000 children of one workflow that have not ended: more would hang it. */
const mostOpenGates = 1000;
/** What people are shown travels as one payload. */
const requestBytes = 512 * 1024;

export const hasRoomForGate = (run: PlanRun): boolean => run.openGates < mostOpenGates;

/**
 * Asks people about a task: everything they see is evaluated now and has one digest. Throws ExpressionFailure, also
 * when it is more than anyone can look at.
 */
export function openGate(run: PlanRun, task: TaskRun, definition: ApprovalDefinition, now: number): void {
  const shown: Json[] = [
    definition.title ?? '',
    definition.message ?? '',
    ...definition.show.flatMap(({ title, value }) => [title, value]),
  ];
  const scope = scopeFor(run, task, shown, definition.at === 'after' ? { output: outputOf(run, task) } : {});
  task.round += 1;
  const title =
    definition.title === undefined ? titleOf(run, task) : evaluateToText(definition.title, scope).slice(0, 300);
  const request: Omit<ApprovalRequest, 'digest'> = {
    approvalId: approvalIdOf(run.planId, task.id, task.round),
    planId: run.planId,
    planName: run.plan.name,
    planTitle: run.plan.title,
    taskId: task.id,
    taskTitle: titleOf(run, task),
    round: task.round,
    capability: definitionOf(run, task).capability,
    at: definition.at,
    title,
    ...(definition.message !== undefined && { message: evaluateToText(definition.message, scope) }),
    subject: definition.at === 'after' ? { result: outputOf(run, task) } : subjectBefore(run, task),
    show: definition.show.map((one) => ({
      title: evaluateToText(one.title, scope),
      value: evaluateValue(one.value, scope),
    })),
    editable: definition.editable,
    by: definition.by,
    excluded: definition.fourEyes ? [run.owner] : [],
    reasonRequired: definition.reasonRequired,
    requestedBy: run.owner,
    requestedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + definition.expiresInMs).toISOString(),
    onExpiry: definition.onExpiry,
  };
  const bytes = jsonBytes(request);
  if (bytes > requestBytes)
    throw new ExpressionFailure(`people would be shown ${bytes} bytes, more than ${requestBytes}; show artifacts`);
  const digest = approvalDigest(request);
  run.openGates += 1;
  run.effects.approvals.push({ ...request, digest });
  task.gate = { approvalId: request.approvalId, digest, title, by: definition.by };
  task.waitingSince = now;
  task.reason = `waits for ${definition.by.join(', ')}`;
  enter(run, task, 'waiting', now);
  run.planDirty = true;
}

/** Never evaluated again: data may stand in it. The title of a forEach may name its items, so the whole has the id's. */
function titleOf(run: PlanRun, task: TaskRun): string {
  const { title } = definitionOf(run, task);
  return task.title ?? (title.includes('${{') ? task.id : title);
}

const outputOf = (run: PlanRun, task: TaskRun): Json =>
  task.items === undefined ? (task.output ?? null) : runsOf(run, task).map(({ output }) => output ?? null);
const subjectBefore = (run: PlanRun, task: TaskRun): JsonObject =>
  task.items === undefined ? (task.arguments ?? {}) : { items: runsOf(run, task).map((item) => item.arguments ?? {}) };

/**
 * The outcome of a gate. One that this plan did not ask for, with another digest, or of an earlier round changes
 * nothing: whoever may reach Temporal can send a signal.
 */
export function applyOutcome(run: PlanRun, outcome: ApprovalOutcome, now: number): void {
  const [, taskId = ''] = outcome.approvalId.split('/');
  const task = run.tasks.get(taskId);
  if (task?.state !== 'waiting' || task.gate?.approvalId !== outcome.approvalId || task.gate.digest !== outcome.digest)
    return;
  if (run.state !== 'running' && run.state !== 'paused') return;
  const definition = definitionOf(run, task).approval;
  if (!definition || outcome.status === 'withdrawn') return;
  if (outcome.status === 'expired' && definition.onExpiry === 'pause') {
    // The request stays open: the plan waits for whoever comes.
    if (run.state === 'running') {
      enterPlan(run, 'paused');
      run.pauseReason = `nobody answered ${outcome.approvalId} in time`;
    }
    return;
  }
  closeGate(run, task, now);
  run.planDirty = true;
  const reason = (outcome.reason ?? '').slice(0, longestReason);
  const decidedBy = outcome.decidedBy?.slice(0, 100);
  if (outcome.status !== 'approved') {
    const rejected = outcome.status === 'rejected';
    task.approval = { choice: 'reject', reason, form: null };
    fail(
      run,
      task,
      rejected
        ? {
            type: 'Rejected',
            message: `${decidedBy ?? 'somebody'} rejected it${reason === '' ? '' : `: ${reason}`}`,
          }
        : { type: 'Expired', message: 'nobody answered in time' },
      now,
    );
    return;
  }
  task.approval = { choice: 'approve', reason, form: null };
  if (definition.at === 'after') {
    succeed(run, task, now);
    return;
  }
  task.decision = {
    approvalId: outcome.approvalId,
    digest: outcome.digest,
    status: 'approved',
    ...(decidedBy !== undefined && { decidedBy }),
  };
  // What comes from the answer is filled in when the task is sent: results that it reads may have to be fetched first.
  if (outcome.subject && task.items === undefined) task.arguments = outcome.subject;
  enter(run, task, 'queued', now);
  if (task.items === undefined) run.queue.push(task.id);
  else for (const item of runsOf(run, task)) enter(run, item, 'queued', now);
}

/** People's time is not the task's: its deadline moves by as long as it waited for them. */
export function closeGate(run: PlanRun, task: TaskRun, now: number): void {
  // From a pause on, it stands with all others.
  if (task.deadlineAt !== undefined && task.waitingSince !== undefined)
    task.deadlineAt += Math.max(0, (run.pausedSince ?? now) - task.waitingSince);
  delete task.waitingSince;
  delete task.gate;
  delete task.reason;
  run.openGates -= 1;
  run.ready.push(...run.held.splice(0));
}
