import type { ApprovalOutcome, ApprovalRequest } from './contracts/approval';
import { approvalIdOf } from './contracts/approval';
import type { Json, JsonObject } from './contracts/json';
import type { ApprovalDefinition } from './contracts/plan-definition';
import { approvalDigest } from './digest';
import { evaluateToText, evaluateValue } from './expressions';
import { fail, succeed } from './plan-outcome';
import { scopeFor } from './plan-scope';
import { definitionOf, enter, enterPlan, type PlanRun, type TaskRun, taskOf } from './plan-state';

/** Asks people about a task: everything they see is evaluated now and has one digest. */
export function openGate(run: PlanRun, task: TaskRun, definition: ApprovalDefinition, now: number): void {
  const shown: Json[] = [
    definition.title ?? definitionOf(run, task).title,
    definition.message ?? '',
    definition.show as unknown as Json,
  ];
  const scope = scopeFor(run, task, shown, definition.at === 'after' ? { output: outputOf(run, task) } : {});
  task.round += 1;
  const title = evaluateToText(definition.title ?? task.title ?? definitionOf(run, task).title, scope);
  const request: Omit<ApprovalRequest, 'digest'> = {
    approvalId: approvalIdOf(run.planId, task.id, task.round),
    planId: run.planId,
    planName: run.plan.name,
    planTitle: run.plan.title,
    taskId: task.id,
    taskTitle: task.title ?? task.id,
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
  const digest = approvalDigest(request);
  run.effects.approvals.push({ ...request, digest });
  task.gate = { approvalId: request.approvalId, digest, title, by: definition.by };
  task.waitingSince = now;
  task.reason = `waits for ${definition.by.join(', ')}`;
  enter(run, task, 'waiting', now);
  run.planDirty = true;
}

const outputOf = (run: PlanRun, task: TaskRun): Json =>
  task.items === undefined
    ? (task.output ?? null)
    : (run.items.get(task.id) ?? []).map((id) => taskOf(run, id).output ?? null);
const subjectBefore = (run: PlanRun, task: TaskRun): JsonObject =>
  task.items === undefined
    ? (task.arguments ?? {})
    : { items: (run.items.get(task.id) ?? []).map((id) => taskOf(run, id).arguments ?? {}) };

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
  closeGate(task, now);
  run.planDirty = true;
  if (outcome.status !== 'approved') {
    const rejected = outcome.status === 'rejected';
    const reason = outcome.reason ?? '';
    task.approval = { choice: 'reject', reason, form: null };
    fail(
      run,
      task,
      rejected
        ? {
            type: 'Rejected',
            message: `${outcome.decidedBy ?? 'somebody'} rejected it${reason === '' ? '' : `: ${reason}`}`,
          }
        : { type: 'Expired', message: 'nobody answered in time' },
      now,
    );
    return;
  }
  task.approval = { choice: 'approve', reason: outcome.reason ?? '', form: null };
  if (definition.at === 'after') {
    succeed(run, task, now);
    return;
  }
  if (outcome.subject && task.items === undefined) task.arguments = outcome.subject;
  enter(run, task, 'queued', now);
  if (task.items === undefined) run.queue.push(task.id);
}

/** People's time is not the task's: its deadline moves by as long as it waited for them. */
export function closeGate(task: TaskRun, now: number): void {
  if (task.deadlineAt !== undefined && task.waitingSince !== undefined) task.deadlineAt += now - task.waitingSince;
  delete task.waitingSince;
  delete task.gate;
  delete task.reason;
}
