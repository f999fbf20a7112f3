import {
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { BusActivities, DataActivities, Publication } from '../activities/plan';
import {
  approvalDecided,
  type ApprovalMemo,
  type ApprovalOutcome,
  type ApprovalRequest,
  approvalWorkflowId,
  withdraw,
} from './contracts/approval';
import { failure } from './contracts/failures';
import type { TaskReport } from './contracts/messages';
import {
  cancel,
  header,
  pause,
  type PlanCommand,
  type PlanOutcome,
  type PlanStart,
  reportBatchLimits,
  resume,
  retryTask,
  searchAttributes,
  task,
  tasks,
  tasksReported,
} from './contracts/plan';
import { taskQueues } from './contracts/task-queues';
import { cancelPlan, pausePlan, refuseCommand, refuseRetry, resumePlan, retryTask as runAgain } from './plan-commands';
import { applyOutcome } from './plan-gates';
import { advance, nextWake } from './plan-progress';
import { applyReport } from './plan-reports';
import { createRun, snapshotOf } from './plan-start';
import { noEffects, type PlanRun, type PlanSnapshot } from './plan-state';
import { headerOf, summaryOf, takeChanges, taskDetail, taskPage } from './plan-view';
import type { approvalWorkflow } from './approval';

// A local activity holds the workflow task open, and with it signals and queries: it gets 2 s and two tries, then the
// same activity runs remotely and stays there for a minute (measured: design page "temporal shapes", section 3).
const fast = proxyLocalActivities<BusActivities>({
  startToCloseTimeout: '2 seconds',
  scheduleToCloseTimeout: '3 seconds',
  retry: { maximumAttempts: 2, initialInterval: '200 milliseconds' },
});
const sure = proxyActivities<BusActivities>({
  taskQueue: taskQueues.bus,
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '500 milliseconds', maximumInterval: '10 seconds' },
});
const data = proxyActivities<DataActivities>({
  taskQueue: taskQueues.data,
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '30 seconds' },
});
const remoteForMs = 60_000;

// A run ends long before the server's limits of 10,000 signals and 2,000 updates.
const maxSignals = 5_000;
const maxUpdates = 1_000;
const inlineSnapshotBytes = 512 * 1024;
const partBytes = 1024 * 1024;

/** A plan while it runs, durable: what was continued, and what the messages bring. */
export async function planWorkflow(start: PlanStart): Promise<PlanOutcome> {
  const run = createRun({ ...start, startedAt: Date.parse(start.startedAt) }, await snapshotIn(start));
  const reports: TaskReport[] = [];
  const outcomes: ApprovalOutcome[] = [];
  let news = true;
  let draining = false;
  let signals = 0;
  let updates = 0;
  let remoteUntil = 0;

  // Signal handlers only push: one that awaits would starve the end of the run (measured, section 4).
  setHandler(tasksReported, (batch) => {
    signals += 1;
    reports.push(...batch);
    news = true;
  });
  setHandler(approvalDecided, (outcome) => {
    signals += 1;
    outcomes.push(outcome);
    news = true;
  });
  const command =
    (name: Parameters<typeof refuseCommand>[1], apply: () => void): (() => ReturnType<typeof headerOf>) =>
    () => {
      updates += 1;
      refuseCommand(run, name);
      apply();
      news = true;
      return headerOf(run);
    };
  const validator = (name: Parameters<typeof refuseCommand>[1]) => ({
    validator: (_command: PlanCommand): void => {
      if (draining) throw failure('Draining', `plan ${run.planId} continues as new; try again`);
      refuseCommand(run, name);
    },
  });
  setHandler(
    pause,
    ({ reason, by }) =>
      command('pause', () => {
        pausePlan(run, reason ?? `by ${by}`);
      })(),
    validator('pause'),
  );
  setHandler(
    resume,
    (_command) =>
      command('resume', () => {
        resumePlan(run);
      })(),
    validator('resume'),
  );
  setHandler(
    cancel,
    (_command) =>
      command('cancel', () => {
        cancelPlan(run);
      })(),
    validator('cancel'),
  );
  setHandler(
    retryTask,
    ({ taskId }) =>
      command('retryTask', () => {
        refuseRetry(run, taskId);
        runAgain(run, taskId, Date.now());
      })(),
    {
      validator: (command: PlanCommand & { readonly taskId: string }) => {
        validator('retryTask').validator(command);
        refuseRetry(run, command.taskId);
      },
    },
  );
  setHandler(header, () => headerOf(run));
  setHandler(tasks, ({ offset, limit }) => taskPage(run, offset, limit));
  setHandler(task, (id) => taskDetail(run, id));

  const timer = createTimer(() => {
    news = true;
  });
  const seen = createVisibility(run);

  for (;;) {
    await condition(() => news);
    news = false;
    for (const report of reports.splice(0)) applyReport(run, report, Date.now());
    for (const outcome of outcomes.splice(0)) applyOutcome(run, outcome, Date.now());
    advance(run, Date.now());
    await tellTheWorld();
    const wake = nextWake(run);
    if (wake !== undefined) timer.arm(wake);
    seen.update();
    const ended = outcomeOf(run);
    if (ended && !news) {
      await condition(allHandlersFinished);
      return ended;
    }
    if (!ended && (workflowInfo().continueAsNewSuggested || signals >= maxSignals || updates >= maxUpdates)) {
      draining = true;
      await condition(allHandlersFinished);
      for (const report of reports.splice(0)) applyReport(run, report, Date.now());
      for (const outcome of outcomes.splice(0)) applyOutcome(run, outcome, Date.now());
      // What these brought is acted upon by the next run.
      await continueAsNew<typeof planWorkflow>({ ...start, continued: await snapshotOut(run) });
    }
  }

  async function tellTheWorld(): Promise<void> {
    const { dispatches, cancels, approvals, withdrawals } = run.effects;
    run.effects = noEffects();
    for (const request of approvals) await openRequest(request);
    for (const approvalId of withdrawals) await withdrawRequest(approvalId);
    const changes = takeChanges(run, Date.now(), reportBatchLimits.reports);
    for (const publication of cutToSize({ planId: run.planId, tasks: dispatches, cancels, changes }))
      await publish(publication);
  }

  async function publish(publication: Publication): Promise<void> {
    if (Date.now() >= remoteUntil) {
      try {
        await fast.publish(publication);
        return;
      } catch (error) {
        if (isCancellation(error)) throw error;
        remoteUntil = Date.now() + remoteForMs;
      }
    }
    await sure.publish(publication);
  }
}

function outcomeOf(run: PlanRun): PlanOutcome | undefined {
  if (run.state !== 'succeeded' && run.state !== 'failed' && run.state !== 'cancelled') return undefined;
  return { state: run.state, result: run.result ?? null, ...(run.failure && { failure: run.failure }) };
}

/** One timer for the whole plan: kept when the next deadline moves later, one more only for an earlier one. */
function createTimer(due: () => void): { arm(at: number): void } {
  let armed: number | undefined;
  return {
    arm(at) {
      if (armed !== undefined && armed <= at) return;
      armed = at;
      void sleep(Math.max(1, at - Date.now())).then(
        () => {
          if (armed === at) armed = undefined;
          due();
        },
        () => undefined,
      ); // the workflow was cancelled
    },
  };
}

/** Search attributes and the summary in the Temporal UI; an event only when something that lists show has changed. */
function createVisibility(run: PlanRun): { update(): void } {
  let last = '';
  return {
    update() {
      setCurrentDetails(summaryOf(run));
      const { waitingFor, state } = headerOf(run);
      const who = [...new Set(waitingFor.flatMap(({ by }) => by))].sort();
      const now = JSON.stringify([state, who]);
      // Every plan begins as running with nobody to wait for: that is what it was started with.
      if (now === last || (last === '' && now === '["running",[]]')) return;
      last = now;
      upsertSearchAttributes({
        [searchAttributes.status]: [state],
        [searchAttributes.waitingForPerson]: [who.length > 0],
        [searchAttributes.waitingFor]: who,
      });
    },
  };
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
      staticSummary: request.title.slice(0, 200),
      searchAttributes: {
        [searchAttributes.kind]: ['approval'],
        [searchAttributes.planId]: [request.planId],
        [searchAttributes.planName]: [request.planName],
        [searchAttributes.status]: ['open'],
        [searchAttributes.owner]: [request.requestedBy],
        [searchAttributes.waitingForPerson]: [true],
        [searchAttributes.waitingFor]: [...request.by],
      },
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

const publicationBytes = 256 * 1024;

/** At most 500 tasks and 256 KiB each; changes leave with the first tasks, so that most cost no event of their own. */
export function cutToSize({ planId, tasks: all, cancels, changes }: Publication): readonly Publication[] {
  if (all.length === 0 && cancels.length === 0 && changes.length === 0) return [];
  const publications: Publication[] = [];
  let current: {
    tasks: Publication['tasks'][number][];
    cancels: Publication['cancels'];
    changes: Publication['changes'][number][];
  } = { tasks: [], cancels, changes: [] };
  let bytes = 0;
  const add = (size: number, put: () => void): void => {
    if (bytes > 0 && (bytes + size > publicationBytes || current.tasks.length >= reportBatchLimits.reports)) {
      publications.push({ planId, ...current });
      current = { tasks: [], cancels: [], changes: [] };
      bytes = 0;
    }
    bytes += size;
    put();
  };
  for (const one of all) add(JSON.stringify(one).length, () => current.tasks.push(one));
  for (const one of changes) add(JSON.stringify(one).length, () => current.changes.push(one));
  return [...publications, { planId, ...current }];
}

async function snapshotIn({ continued }: PlanStart): Promise<PlanSnapshot | undefined> {
  if (!continued) return undefined;
  if (continued.inline !== undefined) return JSON.parse(continued.inline) as PlanSnapshot;
  const parts = await Promise.all((continued.parts ?? []).map((artifact) => data.getSnapshotPart({ artifact })));
  return JSON.parse(parts.join('')) as PlanSnapshot;
}

/** A payload over 2 MiB would hang the workflow: a large snapshot leaves in parts and only their digests travel. */
async function snapshotOut(run: PlanRun): Promise<NonNullable<PlanStart['continued']>> {
  const text = JSON.stringify(snapshotOf(run));
  if (text.length <= inlineSnapshotBytes) return { inline: text };
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += partBytes)
    parts.push(await data.putSnapshotPart({ planId: run.planId, text: text.slice(at, at + partBytes) }));
  return { parts };
}
