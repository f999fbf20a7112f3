import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import { ask } from './asking';
import { createLifetime, loadSnapshot, saveSnapshot, snapshotToReopen } from './continuing';
import { approvalDecided, type ApprovalOutcome } from './contracts/approval';
import { failure } from './contracts/failures';
import type { TaskReport } from './contracts/messages';
import {
  cancel,
  header,
  pause,
  type PlanCommand,
  type PlanHeader,
  type PlanOutcome,
  type PlanStart,
  reopening,
  resume,
  retryTask,
  task,
  tasks,
  tasksReported,
} from './contracts/plan';
import {
  cancelPlan,
  type CommandName,
  pausePlan,
  refuseCommand,
  refuseRetry,
  reopenPlan,
  resumePlan,
  retryTask as runAgain,
} from './plan-commands';
import { applyOutcome } from './plan-gates';
import { advance } from './plan-progress';
import { applyReport, readOutcomes, readReports } from './plan-reports';
import { createRun } from './plan-start';
import { noEffects, type PlanRun } from './plan-state';
import { nextWake } from './plan-time';
import { headerOf, takeChanges, taskDetail, taskPage } from './plan-view';
import { createPublishing } from './publishing';
import { createVisibility } from './visibility';
import { createWakeTimer } from './wake-timer';

/** A run that is to end does so when nothing came for so long. */
const quietMs = 200;
/** The least that ends a workflow task: each turn gets the whole of its time. */
const betweenTurnsMs = 1;
/** Messages that go into the next run's arguments; the rest of those is at most another MiB. */
const handedOverCharacters = 256 * 1024;

/**
 * A plan while it runs. What to do is decided by pure code (`advance`); here the messages come in, the world is told,
 * and the run continues as new before its history is too long.
 *
 * A plan that fails is a workflow that completes and says so. Temporal's own request to cancel is a CancelPlan: agents
 * are told, gates are withdrawn, and what was done is compensated.
 */
export async function planWorkflow(start: PlanStart): Promise<PlanOutcome> {
  const cancelRequested = CancellationScope.current().cancelRequested;
  return CancellationScope.nonCancellable(() => runPlan(start, cancelRequested));
}

async function runPlan(start: PlanStart, cancelRequested: Promise<never>): Promise<PlanOutcome> {
  const { planId } = start;
  refuseUpdatesUntilLoaded(planId);
  const { snapshot, bytes } = await loadSnapshot(start);
  const run = createRun({ ...start, startedAt: Date.parse(start.startedAt) }, snapshot);
  if (start.continued?.retryTaskId !== undefined) reopenPlan(run, start.continued.retryTaskId, Date.now());
  const lifetime = createLifetime(bytes);
  const publishing = createPublishing();
  const visibility = createVisibility(run, snapshot !== undefined);
  const reports: TaskReport[] = [...(start.continued?.reports ?? [])];
  const outcomes: ApprovalOutcome[] = [...(start.continued?.outcomes ?? [])];
  let news = true;
  let draining = false;
  const timer = createWakeTimer(() => {
    news = true;
  });

  // Signal handlers only push: one that awaits would starve the end of the run (measured, section 4).
  setHandler(tasksReported, (batch) => {
    lifetime.signals.count += 1;
    reports.push(...readReports(batch));
    news = true;
  });
  setHandler(approvalDecided, (outcome) => {
    lifetime.signals.count += 1;
    outcomes.push(...readOutcomes(outcome));
    news = true;
  });
  cancelRequested.catch(() => {
    if (run.state === 'running' || run.state === 'paused') cancelPlan(run);
    news = true;
  });

  // Looked at twice, in the validator for a refusal without an event, and when it is applied.
  const applyCommand = (name: CommandName, apply: () => void): PlanHeader => {
    refuseCommand(run, name);
    apply();
    lifetime.updates.count += 1;
    news = true;
    return headerOf(run);
  };
  const refuse = (name: CommandName, command: PlanCommand): void => {
    if (draining) throw failure('Draining', `plan ${planId} continues as new; try again`);
    if (typeof (command as Partial<PlanCommand> | undefined)?.by !== 'string')
      throw failure('InvalidInput', 'a command says who gives it');
    refuseCommand(run, name);
  };
  setHandler(
    pause,
    ({ by, reason }) =>
      applyCommand('pause', () => {
        pausePlan(run, reason ?? `by ${by}`);
      }),
    {
      validator: (command: PlanCommand) => {
        refuse('pause', command);
      },
    },
  );
  setHandler(
    resume,
    (_command) =>
      applyCommand('resume', () => {
        resumePlan(run);
      }),
    {
      validator: (command: PlanCommand) => {
        refuse('resume', command);
      },
    },
  );
  setHandler(
    cancel,
    (_command) =>
      applyCommand('cancel', () => {
        cancelPlan(run);
      }),
    {
      validator: (command: PlanCommand) => {
        refuse('cancel', command);
      },
    },
  );
  setHandler(
    retryTask,
    ({ taskId }) =>
      applyCommand('retryTask', () => {
        refuseRetry(run, taskId);
        runAgain(run, taskId, Date.now());
      }),
    {
      validator: (command: PlanCommand & { readonly taskId: string }) => {
        refuse('retryTask', command);
        refuseRetry(run, command.taskId);
      },
    },
  );
  setHandler(header, () => headerOf(run));
  setHandler(tasks, ({ offset, limit }) => taskPage(run, offset, limit));
  setHandler(task, (id) => taskDetail(run, id));
  setHandler(reopening, (retryTaskId) => {
    try {
      return { start: { ...start, continued: { inline: snapshotToReopen(run, retryTaskId), retryTaskId } } };
    } catch (error) {
      if (!(error instanceof ApplicationFailure)) throw error;
      return { refusal: { type: error.type ?? '', message: error.message } };
    }
  });

  for (;;) {
    await condition(() => news);
    news = false;
    for (const report of reports.splice(0)) applyReport(run, report, Date.now());
    for (const outcome of outcomes.splice(0)) applyOutcome(run, outcome, Date.now());
    draining ||= lifetime.isOver();
    advance(run, Date.now(), !draining);
    await tellTheWorld();
    if (run.goesOn) {
      await sleep(betweenTurnsMs);
      news = true;
    }
    let isFetched = true;
    if (run.recalls.size > 0) {
      isFetched = await lifetime.recall(run);
      news ||= isFetched;
    }
    const wake = nextWake(run);
    if (wake !== undefined) timer.arm(wake);
    visibility.update();
    const ended = outcomeOf(run);
    if (ended && !news) {
      await condition(allHandlersFinished);
      return ended;
    }
    draining ||= !isFetched;
    // A snapshot is dear: it waits until agents have said what they had to say. What comes while it is made is handed over.
    if (ended || !draining || (await condition(() => news, quietMs))) continue;
    await condition(allHandlersFinished);
    const { state } = run;
    const continued = { ...(await saveSnapshot(run)), reports, outcomes };
    // Temporal's own cancel request is not handed over: this run deals with it first.
    if (run.state !== state) continue;
    if (JSON.stringify([reports, outcomes]).length <= handedOverCharacters)
      await continueAsNew<typeof planWorkflow>({ ...start, continued });
  }

  async function tellTheWorld(): Promise<void> {
    const { dispatches, cancels, approvals, withdrawals } = run.effects;
    run.effects = noEffects();
    await ask(approvals, withdrawals);
    await publishing.publish({ planId, tasks: dispatches, cancels, changes: takeChanges(run, Date.now()) });
  }
}

/** An update that comes while the snapshot is being fetched would be refused for good, for want of a handler. */
function refuseUpdatesUntilLoaded(planId: string): void {
  const refuse = (_command: PlanCommand): never => {
    throw failure('Draining', `plan ${planId} continues as new; try again`);
  };
  for (const update of [pause, resume, cancel]) setHandler(update, refuse, { validator: refuse });
  setHandler(retryTask, refuse, { validator: refuse });
}

function outcomeOf(run: PlanRun): PlanOutcome | undefined {
  if (run.state !== 'succeeded' && run.state !== 'failed' && run.state !== 'cancelled') return undefined;
  return { state: run.state, result: run.result ?? null, ...(run.failure && { failure: run.failure }) };
}
