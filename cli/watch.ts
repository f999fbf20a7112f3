import { spawn } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { PlanSummary, TaskState, WatchPlanResponse } from '../proto/aats/project/v1/project_pb';
import type { CommandContext } from './command';
import type { Connection } from './connection';
import { CommandFailed, exitCodes } from './exit-codes';
import { leavesOf } from '../services/runtime/plan-figures';
import { openLiveScreen, type LiveScreen } from './live-screen';
import { isEnded } from '../workflows/plan-state';
import { drawPlan, glyphOf, planHasEnded } from './plan-drawing';
import { accessToken } from './session';
import { clock, type Colour, cut, jsonLines, plural, safe, type Terminal } from './terminal';

/** What a watcher knows: a snapshot, and every change since. */
interface Watched {
  plan?: PlanSummary;
  tasks: Map<string, TaskState>;
  readonly progress: Map<string, string>;
  /** Of the last change; where to go on after a break. */
  cursor?: bigint;
  silentSince?: Date;
}

/** What is done with the news of a plan. */
interface View {
  /** `tasks` changed; of a snapshot, those that differ from what was known. */
  changed(event: WatchPlanResponse, tasks: readonly TaskState[], stateWas: string | undefined): void;
  broken(why: string): void;
  live(): void;
  close(): void;
}

/** Watches a plan to its end; rejects when the plan did not succeed. `q` leaves earlier, and the plan goes on. */
export async function watchPlan(context: CommandContext, connection: Connection, planId: string): Promise<void> {
  context.terminal.doing();
  const watched: Watched = { tasks: new Map(), progress: new Map() };
  const leave = new AbortController();
  const signal = AbortSignal.any([context.interrupted, leave.signal]);
  const isLive = context.terminal.isTerminal && !context.json;
  const view = isLive
    ? liveView(context, connection, watched, planId, leave)
    : context.json
      ? jsonView(context)
      : lineView(context, watched);
  try {
    // A person sees that nothing comes and leaves; a script must not wait for ever.
    await follow({ context, connection, planId, watched, view, signal, patienceMs: isLive ? Infinity : 5 * 60_000 });
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  } finally {
    view.close();
  }
  const { plan } = watched;
  if (!plan) return;
  const { terminal } = context;
  if (isLive) for (const line of drawing(terminal, watched, true)) terminal.line(line);
  if (leave.signal.aborted) {
    terminal.line(`The plan goes on. Watch it again: aats plan watch ${planId}`);
    return;
  }
  if (!context.json) printResult(context, plan);
  if (plan.state !== 'succeeded')
    throw new CommandFailed({
      exitCode: exitCodes.planFailed,
      title: `the plan ${planId} ${plan.state === 'cancelled' ? 'was cancelled' : 'failed'}`,
      lines: plan.failure ? [{ name: plan.failure.type, message: plan.failure.message }] : [],
      hint: `Its tasks: aats plan get ${planId}`,
    });
}

interface Following {
  readonly context: CommandContext;
  readonly connection: Connection;
  readonly planId: string;
  readonly watched: Watched;
  readonly view: View;
  readonly signal: AbortSignal;
  readonly patienceMs: number;
}
const hopeless = ['PlanNotFound', 'PermissionDenied', 'InvalidInput'];

/** Reads the stream, and opens it anew where it stopped when it breaks: services may be started again meanwhile. */
async function follow(following: Following): Promise<void> {
  const { context, connection, planId, watched, view, signal, patienceMs } = following;
  for (let pauseMs = 250; ; pauseMs = Math.min(5000, pauseMs * 2)) {
    try {
      const token = await accessToken(context.settings); // the stream may outlive the first one
      const request = { planId, ...(watched.cursor !== undefined && { cursor: watched.cursor }) };
      for await (const event of connection.plans.watchPlan(request, { signal, token })) {
        if (watched.silentSince) {
          delete watched.silentSince;
          view.live();
        }
        pauseMs = 250;
        take(watched, event, view);
      }
      if (watched.plan && planHasEnded(watched.plan)) return;
    } catch (error) {
      const type = error instanceof Error && 'type' in error ? String(error.type) : '';
      // Before the first news the command fails like any other; a session that has ended comes back by signing in only.
      if (signal.aborted || !watched.plan || hopeless.includes(type) || error instanceof CommandFailed) throw error;
      if (!watched.silentSince) {
        watched.silentSince = new Date();
        view.broken(error instanceof Error ? error.message : String(error));
      }
      if (Date.now() - watched.silentSince.getTime() > patienceMs) throw error;
    }
    await setTimeout(pauseMs, undefined, { signal });
  }
}

function take(watched: Watched, response: WatchPlanResponse, view: View): void {
  const { event } = response;
  const stateWas = watched.plan?.state;
  let changed: readonly TaskState[] = [];
  if (event.case === 'snapshot') {
    const before = watched.tasks;
    watched.tasks = new Map(event.value.tasks.map((task) => [task.id, task]));
    changed = event.value.tasks.filter(({ id, state, attempt }) => {
      const known = before.get(id);
      return known?.state !== state || known.attempt !== attempt;
    });
    if (event.value.plan) watched.plan = event.value.plan;
    if (event.value.plan) watched.cursor = event.value.plan.cursor;
  } else if (event.case === 'change') {
    changed = event.value.tasks;
    for (const task of changed) watched.tasks.set(task.id, task);
    if (event.value.plan) watched.plan = event.value.plan;
    watched.cursor = event.value.cursor;
  } else if (event.case === 'progress') {
    const { taskId, message, percent } = event.value;
    const words = [percent === undefined ? '' : `${Math.round(percent)} %`, safe(message ?? '')];
    watched.progress.set(taskId, words.filter(Boolean).join(' '));
  }
  view.changed(response, changed, stateWas);
}

const jsonView = ({ print, terminal }: CommandContext): View => ({
  changed: (event) => {
    print(event);
  },
  broken: (why) => {
    terminal.error(JSON.stringify({ warning: `not live: ${why}; trying again` }));
  },
  live: () => undefined,
  close: () => undefined,
});

/** One line a change, for pipes and logs. */
function lineView({ terminal }: CommandContext, watched: Watched): View {
  return {
    changed({ event }, tasks, stateWas) {
      const { plan } = watched;
      if (!plan) return;
      const { sign, colour } = glyphOf(plan.state);
      if (stateWas === undefined) {
        const leaves = leavesOf(tasks);
        terminal.line(
          `${terminal.paint(colour, sign)} ${plan.planId} ${plan.state}, ${leaves.filter(isEnded).length} of ${plural(leaves.length, 'task')} ended`,
        );
      }
      // What was there before the watch is not a change; what ended before it began is in that first line.
      const news = stateWas === undefined ? tasks.filter((task) => !isEnded(task) && task.state !== 'pending') : tasks;
      if (event.case !== 'progress') for (const task of news) terminal.line(changeLine(terminal, task));
      if (stateWas !== undefined && plan.state !== stateWas)
        terminal.line(`${terminal.paint(colour, sign)} ${plan.planId} ${plan.state}`);
    },
    broken(why) {
      terminal.error(
        `${terminal.paint('yellow', '○')} not live since ${clock(new Date())}: ${safe(why)}; trying again`,
      );
    },
    live() {
      terminal.error(`${terminal.paint('green', '●')} live again at ${clock(new Date())}`);
    },
    close: () => undefined,
  };
}

export function changeLine(terminal: Terminal, task: TaskState): string {
  const { sign, colour } = glyphOf(task.state);
  const note = task.failure
    ? `  ${task.failure.type}: ${safe(task.failure.message)}`
    : task.reason
      ? `  ${safe(task.reason)}`
      : '';
  return `${terminal.paint(colour, sign)} ${task.id} ${task.state}${task.agent && !isEnded(task) ? ` by ${safe(task.agent)}` : ''}${task.attempt > 1 ? ` (try ${task.attempt})` : ''}${note}`;
}

const frameMs = 100;

/** The live plan: drawn at most ten times a second, and each second for the times that run. */
function liveView(
  { terminal, settings }: CommandContext,
  { plans }: Connection,
  watched: Watched,
  planId: string,
  leave: AbortController,
): View {
  let onlyLooks = false;
  let message = '';
  let timer: NodeJS.Timeout | undefined;
  const draw = (): void => {
    timer = undefined;
    screen.draw(frame(screen));
  };
  const soon = (): void => void (timer ??= global.setTimeout(draw, frameMs));
  const tell = (text: string, colour: Colour = 'dim'): void => {
    message = terminal.paint(colour, cut(text, terminal.columns));
    soon();
  };
  const frame = ({ rows }: LiveScreen): readonly string[] => {
    const { plan } = watched;
    const { paint } = terminal;
    if (!plan) return [paint('dim', `… reading ${planId}`)];
    const keys = `q leave, the plan goes on   o open the page   p ${plan.state === 'paused' ? 'resume' : 'pause'}   f ${onlyLooks ? 'everything' : 'only what needs a look'}`;
    const lines = drawing(terminal, watched, false, { onlyLooks, room: rows - 2 });
    return [...lines, paint('dim', keys), ...(message === '' ? [] : [message])];
  };
  const steer = (): void => {
    const isPaused = watched.plan?.state === 'paused';
    const call = isPaused ? plans.resumePlan({ planId, reason: '' }) : plans.pausePlan({ planId, reason: '' });
    tell(isPaused ? 'resuming' : 'pausing: what runs may finish');
    call.then(
      () => {
        tell('');
      },
      (error: unknown) => {
        const why = safe(error instanceof Error ? error.message : String(error));
        tell(`■ Not ${isPaused ? 'resumed' : 'paused'}: ${why}.`, 'red');
      },
    );
  };
  const screen = openLiveScreen(
    process.stdout,
    (key) => {
      if (key === 'q') leave.abort();
      if (key === 'f') onlyLooks = !onlyLooks;
      if (key === 'p') steer();
      if (key === 'o') tell(openPage(`${settings.signIn}/plans/${planId}`));
      soon();
    },
    soon,
  );
  const ticker = setInterval(soon, 1000);
  draw();
  return {
    changed: soon,
    broken: (why) => {
      tell(`○ ${safe(why)}; trying again. The plan goes on all the same.`, 'yellow');
    },
    live: () => {
      tell('');
    },
    close() {
      clearInterval(ticker);
      clearTimeout(timer);
      screen.leave();
    },
  };
}

const drawing = (
  terminal: Terminal,
  { plan, tasks, progress, silentSince }: Watched,
  isReading: boolean,
  options: { readonly onlyLooks: boolean; readonly room?: number } = { onlyLooks: false },
): readonly string[] =>
  plan
    ? drawPlan(terminal, {
        plan,
        tasks: [...tasks.values()],
        progress,
        ...(silentSince && { silentSince }),
        isReading,
        now: Date.now(),
        ...options,
      })
    : [];

/** Where there is a browser it opens; the address is said in any case. */
function openPage(url: string): string {
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const child = spawn(opener, [url], { detached: true, stdio: 'ignore' });
  child.on('error', () => undefined); // there is none here
  child.unref();
  return `The page: ${url}`;
}

export function printResult({ terminal }: CommandContext, plan: PlanSummary): void {
  if (plan.result !== undefined)
    terminal.line(`\nresult\n${jsonLines(toJson(ValueSchema, plan.result), '  ').join('\n')}`);
  if (plan.resultProblem !== undefined) terminal.line(`\nno result: ${safe(plan.resultProblem)}`);
}
