import type { GetApprovalResponse, TaskState } from '../../../proto/aats/project/v1/project_pb';
import { foreign, markup, type Html, type Part } from './html';
import { glyph, type Shape } from './marks';
import type { PlanNow } from './plan-parts';
import { titlesOf } from './titles';
import { dateOf, duration, list, moment, momentText, personName, plural, whoWords } from './words';

interface Happening {
  readonly at: Date;
  readonly sign: Shape | 'person';
  readonly words: Html;
}

// Silence longer than this is folded into one line.
const silenceMs = 10 * 60_000;

/** The story of a request in sentences, as far as the plan and the request tell it. */
export function happened(plan: PlanNow | undefined, request: GetApprovalResponse, now: Date): Html {
  const { approval, outcome } = request;
  const asked = dateOf(approval?.requestedAt);
  const lines: Happening[] = [];
  const begun = dateOf(plan?.plan.startedAt);
  if (begun)
    lines.push({
      at: begun,
      sign: 'person',
      words: markup`<b>${personName(plan?.plan.owner ?? '')}</b> started the plan.`,
    });
  for (const task of plan?.tasks ?? []) {
    const line = plan && task.parent === undefined ? ended(task, plan) : undefined;
    if (line && (!asked || line.at <= asked)) lines.push(line);
  }
  if (asked)
    lines.push({
      at: asked,
      sign: 'waiting',
      words: markup`The plan asked <b>${list((approval?.by ?? []).map(whoWords), 'or')}</b>.`,
    });
  const answered = dateOf(outcome?.at);
  if (outcome && answered)
    lines.push({
      at: answered,
      sign: outcome.status === 'approved' ? 'done' : 'failed',
      words:
        outcome.decidedBy === ''
          ? markup`It ${outcome.status === 'expired' ? 'expired without an answer' : 'was withdrawn'}.`
          : markup`<b>${personName(outcome.decidedBy)}</b> ${outcome.status}${outcome.subject && ', with changes'}.`,
    });
  lines.sort((a, b) => a.at.getTime() - b.at.getTime());
  const end = answered ?? now;
  return markup`<ol class="time">${lines.map(({ at, sign, words }, index): Part => {
    const following = lines[index + 1]?.at ?? (answered ? undefined : end);
    const silence = following ? following.getTime() - at.getTime() : 0;
    return markup`<li>${moment(at, now, 'seconds')}${glyph(sign)}<span>${words}</span></li>${silence > silenceMs && markup`<li class="gap"><span>${asked && at >= asked ? `Waited ${duration(silence)} for people` : `${duration(silence)} of work`}. Nothing else happened.</span></li>`}`;
  })}</ol>`;
}

function ended(task: TaskState, { tasks }: PlanNow): Happening | undefined {
  const items = tasks.filter(({ parent }) => parent === task.id);
  const at = dateOf(task.endedAt);
  if (!at || task.approvalId !== undefined) return undefined;
  const title = titlesOf(tasks).full(task);
  const failed = task.state === 'failed';
  if (items.length === 0) {
    const who = task.agent === undefined ? 'An agent' : markup`The agent <b>${task.agent}</b>`;
    const what =
      task.state === 'skipped'
        ? markup`Skipped: ${foreign(title)}.`
        : markup`${who} ${failed ? 'failed at' : 'did'} “${foreign(title)}”${task.attempt > 1 && `, at try ${task.attempt}`}.`;
    return { at, sign: failed ? 'failed' : task.state === 'skipped' ? 'skipped' : 'done', words: what };
  }
  const bad = items.filter(({ state }) => state === 'failed').length;
  const again = items.filter(({ attempt }) => attempt > 1).length;
  return {
    at,
    sign: bad > 0 ? 'failed' : 'done',
    words: markup`${plural(items.length, 'task')} “${foreign(title)}” ended${bad > 0 && `, ${bad} failed`}${again > 0 && `, ${again} needed another try`}.`,
  };
}

/** Machines' time and people's time on one line; its middle is cut, because people take longer. */
export function peopleClock({ plan, now }: PlanNow, { approval, outcome }: GetApprovalResponse): Part {
  const [begun, asked, expires] = [dateOf(plan.startedAt), dateOf(approval?.requestedAt), dateOf(approval?.expiresAt)];
  if (!begun || !asked || !expires) return undefined;
  const end = dateOf(outcome?.at) ?? now;
  const [machines, people] = [duration(asked.getTime() - begun.getTime()), duration(end.getTime() - asked.getTime())];
  const word = !outcome ? 'now' : outcome.decidedBy === '' ? outcome.status : 'answered';
  const at = (date: Date): Html =>
    markup`<tspan data-time-text="${date.toISOString()}">${momentText(date, now)}</tspan>`;
  return markup`<svg class="clock" viewBox="0 0 720 48" role="img" aria-label="Machines worked for ${machines}, then people were waited for: ${people} until ${word}"><rect class="m" x="0" y="16" width="236" height="14" rx="2"/><rect class="p" x="240" y="16.5" width="420" height="13" rx="2"/><rect class="cut" x="430" y="12" width="26" height="22"/><path class="z" d="M430 12l-5 11 10 0-5 11M456 12l-5 11 10 0-5 11"/><text x="0" y="10">${at(begun)}</text><text x="240" y="10">${at(asked)}, asked</text><text class="w" x="660" y="10" text-anchor="end">${word} ${at(end)}</text><text x="0" y="45">machines ${machines}</text><text class="w" x="240" y="45">people ${people}</text>${!outcome && markup`<text x="720" y="45" text-anchor="end">expires ${at(expires)}</text>`}<path class="z" d="M718 14v20"/></svg><p class="small soft clock-words">Machines worked for ${machines}, then people ${outcome ? 'took' : 'have had'} ${people}.</p>`;
}
