import type { PlanSummary, TaskState, WatchPlanResponse } from '../proto/aats/project/v1/project_pb';
import { drawPlan, glyphOf, isEnded } from './plan-drawing';
import { safe, type Terminal } from './terminal';

/** What a watcher knows: a snapshot, and every change since. */
export interface Watched {
  plan?: PlanSummary;
  readonly tasks: Map<string, TaskState>;
  readonly progress: Map<string, string>;
}

/** Applies one event; gives back the tasks that changed. */
export function applyEvent(watched: Watched, { event }: WatchPlanResponse): readonly TaskState[] {
  if (event.case === 'snapshot') {
    watched.tasks.clear();
    for (const task of event.value.tasks) watched.tasks.set(task.id, task);
    if (event.value.plan) watched.plan = event.value.plan;
    return [];
  }
  if (event.case === 'change') {
    for (const task of event.value.tasks) watched.tasks.set(task.id, task);
    if (event.value.plan) watched.plan = event.value.plan;
    return event.value.tasks;
  }
  if (event.case === 'progress') {
    const { taskId, message, percent } = event.value;
    watched.progress.set(
      taskId,
      [percent === undefined ? '' : `${Math.round(percent)} %`, message ?? ''].filter(Boolean).join(' '),
    );
  }
  return [];
}

/** Draws over the last drawing, touching only the lines that changed, at most ten times a second. */
export function createLiveScreen(terminal: Terminal, stdout: NodeJS.WriteStream) {
  let shown: readonly string[] = [];
  let onlyLooks = false;
  const redraw = (watched: Watched, live: boolean): void => {
    if (!watched.plan) return;
    const drawing = {
      plan: watched.plan,
      tasks: [...watched.tasks.values()],
      progress: watched.progress,
      live,
      now: Date.now(),
      onlyLooks,
    };
    const all = [
      ...drawPlan(terminal, drawing),
      terminal.paint('dim', 'q leave, the plan goes on   p pause or resume   f only what needs a look'),
    ];
    // More lines than the window has would scroll away and could not be drawn over.
    const lines =
      all.length < stdout.rows
        ? all
        : [
            ...all.slice(0, stdout.rows - 3),
            terminal.paint('dim', `  … ${all.length - stdout.rows + 2} more lines`),
            all.at(-1) ?? '',
          ];
    const up = shown.length;
    let out = up > 0 ? `\u001b[${up}A` : '';
    lines.forEach((line, index) => {
      out += line === shown[index] ? '\u001b[1B\r' : `\r\u001b[2K${line}\n`;
    });
    if (up > lines.length) out += `\u001b[J`;
    stdout.write(out);
    shown = lines;
  };
  return { redraw, toggleLooks: () => (onlyLooks = !onlyLooks) };
}

/** One line a change, for pipes and logs. */
export function changeLine(terminal: Terminal, task: TaskState): string {
  const { sign, colour } = glyphOf(task.state);
  const note = task.failure
    ? `  ${task.failure.type}: ${safe(task.failure.message)}`
    : task.reason
      ? `  ${safe(task.reason)}`
      : '';
  return `${terminal.paint(colour, sign)} ${task.id} ${task.state}${task.agent && !isEnded(task.state) ? ` by ${safe(task.agent)}` : ''}${task.attempt > 1 ? ` (try ${task.attempt})` : ''}${note}`;
}
