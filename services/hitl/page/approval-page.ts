import { toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { ApprovalOutcome, ApprovalSummary, GetApprovalResponse } from '../../../proto/aats/project/v1/project_pb';
import type { ArtifactReference, Json, JsonObject } from '../../../workflows/contracts/json';
import { happened, peopleClock } from './approval-history';
import type { Difference } from './differences';
import { type EditableField, type Evidence, type Form, type FormProblem, lineProperties, valueAt } from './editable';
import { editableView, ticked } from './editable-view';
import { proofField } from './frame';
import { foreign, foreignText, markup, type Html, type Part, visibleJson } from './html';
import { approvalPath } from './inbox-page';
import { markdown } from './markdown';
import { command, glyph, note } from './marks';
import { planPath } from './plan-page';
import { besideASlip, graphPart, type PlanNow } from './plan-parts';
import { titlesOf } from './titles';
import { artifactPath, keyWords, valueView } from './values';
import {
  bytes,
  capital,
  dateOf,
  list,
  moment,
  ordinal,
  personName,
  plural,
  remaining,
  whoMay,
  whoWords,
} from './words';

/** A document that the request shows, fetched as the person. */
export interface ShownDocument {
  readonly title: string;
  readonly value: Json;
  readonly artifact?: ArtifactReference;
  /** Absent: not text, too long to show, or not to be had now. */
  readonly text?: string;
}
/** What to say about the answer that was just given, or that could not be. */
export type AnswerState =
  | { readonly kind: 'asked' }
  | { readonly kind: 'recorded' }
  /** Edited without a script that says what an edit means; the next press sends it. */
  | { readonly kind: 'edited'; readonly differences: readonly Difference[] }
  | { readonly kind: 'changed'; readonly differences: readonly Difference[] }
  | { readonly kind: 'closed' }
  | { readonly kind: 'wrong'; readonly problems: readonly FormProblem[] };

export interface ApprovalPage {
  readonly request: GetApprovalResponse & { readonly approval: ApprovalSummary };
  readonly plan: PlanNow | undefined;
  readonly fields: readonly EditableField[];
  readonly evidence: Evidence;
  readonly shown: readonly ShownDocument[];
  readonly state: AnswerState;
  /** What was typed, shown again after a problem. */
  readonly form?: Form | undefined;
  /** The same for the same form, so that a second press is no second answer. */
  readonly decisionId: string;
  readonly proof: string;
  readonly person: string;
  /** Place among the requests that wait for this person, from 1; absent when it does not. */
  readonly place?: { readonly number: number; readonly of: number } | undefined;
  readonly next?: ApprovalSummary | undefined;
  readonly now: Date;
}

export function approvalMain(page: ApprovalPage): Html {
  const { request, place, now } = page;
  const { approval } = request;
  const isOpen = approval.status === 'open';
  const mayAnswer = isOpen && approval.waitingForYou;
  const expires = dateOf(approval.expiresAt);
  const body = markup`<div class="cols"><div><div class="head"><div><h1>${foreign(approval.title)}</h1><p class="row small"><span>Asked at ${moment(dateOf(approval.requestedAt), now)} by the plan <a href="${planPath(approval.planId)}">${foreign(approval.planTitle)}</a>, which ${personName(approval.requestedBy)} started</span>${request.round > 1 && markup`<span class="tag">asked for the ${ordinal(request.round)} time</span>`}</p></div></div>
${whatWillHappen(page)}
${editableFields(page, !mayAnswer)}
${page.shown.map(documentView)}
${otherArguments(page)}
${page.plan && markup`<section><div class="head"><h2>Where this stands in the plan</h2><a href="${planPath(approval.planId)}" class="small">Open the plan</a></div><div id="p-graph" data-part>${approvalGraph(page.plan)}</div></section>`}
<section><h2>What happened</h2>${page.plan && peopleClock(page.plan, request)}${happened(page.plan, request, now)}</section>
${mayAnswer && markup`<div class="dock"><span><b>It is your turn</b><br><span class="small quiet">expires in ${expires && remaining(expires.getTime() - now.getTime())}</span></span><a class="btn primary" href="#decide">Answer</a></div>`}</div>
<aside aria-label="Your answer"><div class="side">${slip(page, mayAnswer)}</div></aside></div>`;
  return markup`<nav class="crumbs" aria-label="Where you are"><a href="/inbox">Inbox</a><span aria-hidden="true">/</span><span>${place ? `${place.number} of ${place.of}` : capital(approval.status)}</span></nav><div id="p-answered" data-part></div>${answerNote(page)}${
    mayAnswer
      ? markup`<form method="post" action="${approvalPath(approval.approvalId)}">${proofField(page.proof)}<input type="hidden" name="digest" value="${request.digest}"><input type="hidden" name="decisionId" value="${page.decisionId}"><input type="hidden" name="told" value="${page.state.kind === 'edited' && '1'}"><input type="hidden" name="seen" value="${JSON.stringify(Object.fromEntries(page.fields.map(({ path, proposed }) => [path, proposed])))}">${body}</form>`
      : body
  }`;
}

/** Lists stand by themselves, single values together. */
function editableFields({ fields, evidence, form, state }: ApprovalPage, readOnly: boolean): Html {
  const problems = state.kind === 'wrong' ? state.problems : [];
  const views = fields.map((field, index) => ({
    isList: lineProperties(field) !== undefined,
    view: editableView(field, index, evidence, readOnly, problems, form),
  }));
  const singles = views.filter(({ isList }) => !isList).map(({ view }) => view);
  return markup`${views.filter(({ isList }) => isList).map(({ view }) => view)}${singles.length > 0 && markup`<section><h2>${readOnly ? 'What may be changed' : 'What you may change'}</h2><div class="in">${singles}</div></section>`}`;
}

/** A narrow drawing: what went before and what comes after are one box each. */
export const approvalGraph = (plan: PlanNow): Html =>
  graphPart(plan, {
    open: new Map(),
    fits: besideASlip,
    href: ({ folded, kind, id }) =>
      `${planPath(plan.plan.planId)}${folded || kind !== undefined ? '' : `?task=${id}#task`}`,
  });

/** Tasks that come after, in the plan's order. */
function following({ tasks }: PlanNow, taskId: string): readonly string[] {
  const found = new Set([taskId]);
  let grew = true;
  while (grew) {
    grew = false;
    for (const one of tasks)
      if (
        one.parent === undefined &&
        !found.has(one.id) &&
        [...one.needs, ...one.after].some((need) => found.has(need))
      ) {
        found.add(one.id);
        grew = true;
      }
  }
  return tasks.filter(({ id }) => id !== taskId && found.has(id)).map(titlesOf(tasks).full);
}

function whatWillHappen({ request, plan, fields, evidence }: ApprovalPage): Html {
  const { approval } = request;
  const task = plan?.tasks.find(({ id }) => id === approval.taskId);
  const after = plan ? following(plan, approval.taskId) : [];
  const [only] = fields;
  const size = fields.length === 1 && Array.isArray(only?.proposed) ? only.proposed.length : undefined;
  const thing = size === undefined ? undefined : plural(size, singular(only?.path ?? 'line'));
  const isOpen = approval.status === 'open';
  const will = !isOpen
    ? request.at === 'before'
      ? markup`The question was whether an agent for <b>${request.capability}</b> gets this work: “${foreign(request.taskTitle)}”.`
      : markup`“${foreign(request.taskTitle)}” had run. The question was whether its result counts.`
    : request.at === 'before'
      ? markup`If you approve, an agent for <b>${request.capability}</b> gets this work: “${foreign(request.taskTitle)}”${thing !== undefined && `, with ${thing}`}. Until then it does not run.`
      : markup`“${foreign(request.taskTitle)}” has run. If you approve, its result counts and the plan goes on with it.`;
  const first = task && plan ? titlesOf(plan.tasks).full(task) : request.taskTitle;
  const steps = request.at === 'before' ? [first, ...after] : after;
  const undone = task?.hasCompensation === true ? 'Yes, by the plan itself' : 'The plan has no way back for it';
  return markup`<section><h2>${isOpen ? 'What will happen' : 'What was asked'}</h2><p class="will">${will}</p>${request.message !== undefined && markup`<p class="in">${foreign(request.message.trim())}</p>`}
${steps.length > 0 && markup`<ol class="steps">${steps.slice(0, 8).map((title) => markup`<li><span>${foreign(title)}</span></li>`)}${steps.length > 8 && markup`<li><span>and ${steps.length - 8} more</span></li>`}</ol>`}
<dl class="facts"><div><dt>Can it be undone?</dt><dd>${undone}</dd></div><div><dt>Goes to</dt><dd>${request.capability}</dd></div>${isOpen && markup`<div><dt>Waiting for it</dt><dd>1 plan, ${plural(after.length + 1, 'task')}</dd></div>`}${evidence.size > 0 && size !== undefined && markup`<div><dt>Looked at</dt><dd>${evidence.size}, ${size} proposed</dd></div>`}</dl></section>`;
}
const singular = (path: string): string => {
  const word = keyWords(path.split('/').at(-1) ?? 'line').toLowerCase();
  return word.endsWith('s') ? word.slice(0, -1) : word;
};

/** What the work gets besides what may be edited. */
function otherArguments({ request, fields }: ApprovalPage): Part {
  const subject = (request.subject ?? {}) as JsonObject;
  const editable = new Set(fields.map(({ path }) => path));
  const rest = Object.fromEntries(Object.entries(subject).filter(([key]) => !editable.has(`/${key}`)));
  if (Object.keys(rest).length === 0) return undefined;
  const [result] = Object.values(rest);
  return markup`<section><h2>${request.at === 'before' ? 'What else the work gets' : 'The result'}</h2>${valueView(request.at === 'before' || result === undefined ? rest : result)}<details class="more in"><summary>All of it as JSON</summary><div class="in scroll" tabindex="0" role="region" aria-label="Arguments as JSON"><pre>${visibleJson(subject)}</pre></div></details></section>`;
}

function documentView({ title, value, artifact, text }: ShownDocument): Html {
  if (!artifact) return markup`<section><h2>${foreign(title)}</h2>${valueView(value)}</section>`;
  const isMarkdown = artifact.mediaType.startsWith('text/markdown');
  return markup`<section><h2>${foreign(title)}</h2><article class="doc"><header><b>${foreign(artifact.name)}</b><span>${bytes(artifact.size)}</span><span class="hash">${artifact.artifact.slice(7, 11)}…${artifact.artifact.slice(-4)}</span><span class="end row"><a class="btn mini" href="${artifactPath(artifact)}">Download</a></span></header><div>${
    text === undefined
      ? markup`<p class="soft">It cannot be shown here. Download it to read it.</p>`
      : isMarkdown
        ? markdown(text)
        : markup`<pre tabindex="0" role="region" aria-label="${foreignText(artifact.name)}">${foreign(text)}</pre>`
  }</div></article></section>`;
}

function slip(page: ApprovalPage, mayAnswer: boolean): Html {
  const { request, person, state, form, now } = page;
  const { approval } = request;
  if (approval.status !== 'open') return closedSlip(request, now);
  const reason = typeof form?.['reason'] === 'string' ? form['reason'] : '';
  const reasonProblem = state.kind === 'wrong' ? state.problems.find(({ field }) => field === 'reason') : undefined;
  const people = markup`<ul class="people">${approval.waitingForYou && markup`<li>${glyph('you')}<div><b>You</b><span>have not answered</span></div></li>`}${approval.by.filter((who) => who !== `person:${person}`).map((who) => markup`<li>${glyph('waiting')}<div><b>${capital(whoWords(who))}</b><span>may answer</span></div></li>`)}${request.excluded.map((name) => markup`<li class="out">${glyph('cancelled')}<div><b>${personName(name)}</b><span>${name === approval.requestedBy ? 'started this plan, so cannot answer' : 'cannot answer'}</span></div></li>`)}</ul>`;
  if (!mayAnswer)
    return markup`<section class="slip" id="decide" aria-labelledby="decide-h"><h2 id="decide-h">Waiting for ${whoMay(approval.by, false, person)}</h2><p class="small soft">${request.excluded.includes(person) ? 'You started this plan, so somebody else has to answer.' : 'You may read it, and not answer.'}</p>${people}</section>`;
  const [only] = page.fields;
  const size = page.fields.length === 1 && Array.isArray(only?.proposed) ? only.proposed.length : undefined;
  const label = approveLabel(page, size, singular(only?.path ?? 'line'));
  const who = personName(approval.requestedBy);
  return markup`<section class="slip" id="decide" aria-labelledby="decide-h"><h2 id="decide-h">One approval needed ${pip(false)}</h2><p class="small soft">One answer decides, and it is yours to give.</p>${people}<hr>
<div class="field"><label for="reason">Reason</label><span class="hint" id="reason-h">${request.reasonRequired ? 'Needed for any answer.' : 'Needed to reject.'} ${who} will read it.</span><textarea id="reason" name="reason" rows="3" maxlength="2000" aria-describedby="reason-h${reasonProblem ? ' reason-e' : ''}"${reasonProblem && markup` aria-invalid="true"`}>${reason}</textarea>${reasonProblem && markup`<p class="err" id="reason-e">${glyph('failed')}<span>${reasonProblem.message}</span></p>`}</div>
<p class="small soft in" id="edited" role="status" hidden></p>
<div class="answer"><button class="btn primary" name="choice" value="approve" data-key="a"><span data-approve data-many="${size === undefined ? '' : singular(only?.path ?? 'line')}">${label}</span> <kbd class="js-only">a</kbd></button><button class="btn no wide-2" name="choice" value="reject" data-key="r">Reject</button></div>
<p class="small quiet in">If nobody answers by <b>${moment(dateOf(approval.expiresAt), now)}</b>, ${request.onExpiry === 'pause' ? 'the plan pauses' : 'the request counts as rejected'}. Silence never approves.</p>
<details class="more"><summary>Answer from a terminal</summary><div class="in">${command('show the request', `aats approval show ${approval.approvalId}`)}${command('approve', `aats approval decide ${approval.approvalId} --approve`)}</div></details></section>`;
}

/** The button says what it does; the script says so anew with each edit. */
function approveLabel({ state, form }: ApprovalPage, size: number | undefined, thing: string): string {
  if (state.kind !== 'edited') return size === undefined ? 'Approve' : `Approve ${plural(size, thing)}`;
  return size === undefined || !form ? 'Approve with my changes' : `Approve my list of ${ticked(form, 0).size}`;
}

/** One approval, given or not: a diamond. */
const pip = (full: boolean): Html =>
  markup`<span class="pips" aria-hidden="true"><svg viewBox="0 0 12 12"><path${full ? markup` class="full"` : markup` fill="none" stroke="currentColor" stroke-width="1.4"`} d="M6 .8L11.2 6 6 11.2.8 6z"/></svg></span>`;

function closedSlip({ approval, outcome, excluded }: GetApprovalResponse, now: Date): Html {
  const status = approval?.status ?? '';
  const approved = status === 'approved';
  return markup`<section class="slip ${approved ? 'closed' : 'void'}" id="decide" aria-labelledby="decide-h"><h2 id="decide-h">${capital(status)}${approved && markup` ${pip(true)}`}</h2>${outcome && decided(outcome, now)}${excluded.length > 0 && markup`<p class="small quiet in">${list(excluded.map(personName))} could not answer: four eyes.</p>`}</section>`;
}

const surfaces: Readonly<Record<string, string>> = {
  web: 'on this page',
  cli: 'from a terminal',
  rest: 'by a program',
  grpc: 'by a program',
};

const decided = (outcome: ApprovalOutcome, now: Date): Html =>
  markup`<dl class="kv in">${outcome.decidedBy !== '' && markup`<dt>Who</dt><dd>${personName(outcome.decidedBy)}, ${surfaces[outcome.surface] ?? outcome.surface}</dd>`}<dt>When</dt><dd>${moment(dateOf(outcome.at), now, 'seconds')}</dd>${outcome.reason !== '' && markup`<dt>Reason</dt><dd>${foreign(outcome.reason)}</dd>`}${outcome.subject && markup`<dt>Changed</dt><dd>yes, what was proposed was edited</dd>`}<dt>Of what</dt><dd class="hash">${outcome.digest.slice(0, 19)}…</dd></dl>`;

/** What goes on with the answer, the next step first. */
const goesOn = ({ request, plan }: ApprovalPage): string => {
  const steps = plan ? following(plan, request.approval.taskId) : [];
  const all = request.at === 'before' ? [request.taskTitle, ...steps] : steps;
  return all.length === 0
    ? ''
    : ` Now: ${list(all.slice(0, 4).map((step) => `“${step}”`))}${all.length > 4 ? ' and more' : ''}.`;
};

function answerNote(page: ApprovalPage): Part {
  const { request, state, next, person, now } = page;
  const { approval, outcome } = request;
  switch (state.kind) {
    case 'asked':
      return undefined;
    case 'recorded': {
      const approved = outcome?.status === 'approved';
      return note(
        'good',
        approved ? 'Your approval counted. The plan goes on.' : 'Your rejection counted. The work does not run.',
        markup`<p>Recorded ${moment(dateOf(outcome?.at), now, 'seconds')}.${approved && foreign(goesOn(page))} <a href="${planPath(approval.planId)}">Watch the plan</a></p><p class="row">${next && markup`<a class="btn primary" href="${approvalPath(next.approvalId)}">Next: ${foreign(next.title)} <kbd class="js-only">n</kbd></a>`}<a class="btn plain" href="/inbox">Back to the inbox</a></p>`,
      );
    }
    case 'closed': {
      const by = outcome?.decidedBy;
      return note(
        'bad',
        'Your answer was not counted: this was answered before.',
        markup`<p>It is ${approval.status}${by !== undefined && by !== '' && ` by ${by === person ? 'you' : personName(by)}`}. Nothing is left to do here. <a href="/inbox">Back to the inbox</a></p>`,
      );
    }
    case 'changed':
      return note(
        'bad',
        'This changed since you opened it. Your answer was not counted.',
        markup`<p>Below is the request as it is now. Your reason is kept: read the change, then answer again.</p>${compared(state.differences, 'You saw', 'Now')}`,
      );
    case 'edited':
      return note(
        'ask',
        'You changed what was proposed. Nothing was sent yet.',
        markup`<p>The work gets what you made of it, and the record says that you changed it. Look at it, then press Approve again. <a href="${approvalPath(approval.approvalId)}">Take the changes back</a></p>${compared(state.differences, 'Proposed', 'Yours')}<p class="row"><a class="btn" href="#decide">Go to Approve</a></p>`,
      );
    case 'wrong':
      return note(
        'bad',
        `Not sent yet: ${state.problems.length === 1 ? 'one thing needs you' : `${state.problems.length} things need you`}`,
        markup`<ul>${state.problems.map(({ field, message }) => markup`<li><a href="#${field}">${foreign(message)}</a></li>`)}</ul>`,
      );
  }
}

const compared = (differences: readonly Difference[], before: string, after: string): Part =>
  differences.length > 0 &&
  markup`<table class="cmp"><thead><tr><th scope="col">What</th><th scope="col">${before}</th><th scope="col">${after}</th></tr></thead><tbody>${differences.map(([what, was, is]) => markup`<tr><th scope="row">${foreign(what)}</th><td>${foreign(was)}</td><td><b>${foreign(is)}</b></td></tr>`)}</tbody></table>`;

/** The fields of a request that may be edited, with what was proposed for each; once it is answered, what was accepted. */
export const fieldsOf = ({ subject, editable, outcome }: GetApprovalResponse): readonly EditableField[] =>
  editable.flatMap(({ path, schema }) => {
    const proposed = valueAt(outcome?.subject ?? subject ?? {}, path);
    return proposed === undefined ? [] : [{ path, schema: schema ?? {}, proposed }];
  });

export const shownValues = ({
  show,
}: GetApprovalResponse): readonly { readonly title: string; readonly value: Json }[] =>
  show.map(({ title, value }) => ({ title, value: value ? (toJson(ValueSchema, value) as Json) : null }));
