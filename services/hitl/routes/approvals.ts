import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { ApprovalSummary, GetApprovalResponse } from '../../../proto/aats/project/v1/project_pb';
import type { Json } from '../../../workflows/contracts/json';
import { failure } from '../../../workflows/contracts/failures';
import { ServiceFailure } from '../../runtime/failure-status';
import { type AnswerState, approvalMain, fieldsOf } from '../page/approval-page';
import { differences } from '../page/differences';
import {
  type EditableField,
  elementAt,
  type Form,
  type FormProblem,
  linesOf,
  nameOf,
  readEdits,
} from '../page/editable';
import { page } from '../page/frame';
import { approvalPath } from '../page/inbox-page';
import { documentsOf, evidenceFor } from './approval-evidence';
import { field, type PageContext, type PageDeps, queryText, send, signedIn, surroundings } from './page-context';
import type { PlanState } from '../plan-hub';
import type { PageSession } from '../sign-in/page-session';

const address = '/approvals/:plan/:task/:round';
type Known = GetApprovalResponse & { readonly approval: ApprovalSummary };

/** One request to a person: shown from its workflow, answered by its workflow's reply. */
export function addApprovals(router: Router, deps: PageDeps): void {
  const { upstream, hub } = deps;
  const idOf = (ctx: PageContext): string => {
    const { plan = '', task = '', round = '' } = ctx['params'] as Record<string, string | undefined>;
    return `${plan}/${task}/${round}`;
  };
  const read = async (ctx: PageContext, { token }: PageSession): Promise<Known> => {
    const request = await upstream.approvals.getApproval({ approvalId: idOf(ctx) }, { token });
    if (!request.approval) throw failure('ApprovalNotFound', `there is no request ${idOf(ctx)}`);
    return request as Known;
  };
  /** The plan is an extra here: a request can be answered when its plan cannot be read. */
  const planOf = async (request: Known, { token }: PageSession): Promise<PlanState | undefined> =>
    hub.current(request.approval.planId) ??
    upstream.plans.getPlan({ planId: request.approval.planId }, { token }).then(
      ({ plan, tasks }) => (plan ? { plan, tasks } : undefined),
      () => undefined,
    );

  const show = async (ctx: PageContext, session: PageSession, state: AnswerState, form?: Form): Promise<void> => {
    const request = await read(ctx, session);
    const { token, person, proof } = session;
    const fields = fieldsOf(request);
    const [{ frame, reader, open }, plan, shown] = await Promise.all([
      surroundings(deps, ctx, session),
      planOf(request, session),
      documentsOf(upstream, token, request),
    ]);
    const [evidence, gates] = await Promise.all([
      evidenceFor(upstream, token, plan, request.approval.taskId, fields),
      plan ? deps.gates.of(plan.plan, token) : [],
    ]);
    const mine = open.filter(({ waitingForYou }) => waitingForYou);
    const number = mine.findIndex(({ approvalId }) => approvalId === request.approval.approvalId) + 1;
    const main = approvalMain({
      request,
      plan: plan && { ...plan, gates, reader, now: frame.readAt },
      fields,
      evidence,
      shown,
      state,
      form,
      decisionId: (form && field(form, 'decisionId')) || randomUUID(),
      proof,
      person: person.name,
      ...(number > 0 && { place: { number, of: mine.length } }),
      next: mine.find(({ approvalId }) => approvalId !== request.approval.approvalId),
      now: frame.readAt,
    });
    const events = `/plans/${request.approval.planId}/events?approval=${encodeURIComponent(request.approval.approvalId)}`;
    send(
      ctx,
      page(frame, {
        title: request.approval.title,
        at: 'inbox',
        main,
        ...(request.approval.status === 'open' && { live: { events } }),
      }),
    );
  };

  router.get(
    address,
    signedIn(deps, async (ctx, session) => {
      const answered = queryText(ctx, 'answered') === '1';
      const outcome = answered ? (await read(ctx, session)).outcome : undefined;
      await show(ctx, session, outcome?.decidedBy === session.person.name ? { kind: 'recorded' } : { kind: 'asked' });
    }),
  );

  router.post(
    address,
    signedIn(deps, async (ctx, session, form) => {
      const request = await read(ctx, session);
      const fields = fieldsOf(request);
      const plan = await planOf(request, session);
      const evidence = await evidenceFor(upstream, session.token, plan, request.approval.taskId, fields);
      const { edits, problems } = readEdits(
        fields,
        fields.map((one) => linesOf(one, evidence)),
        form,
      );
      const choice = field(form, 'choice');
      const missing = reasonProblem(choice, field(form, 'reason'), request);
      const wrong = [...(choice === 'approve' ? problems : []), ...(missing ? [missing] : [])];
      if (wrong.length > 0) {
        ctx.status = 422;
        await show(ctx, session, { kind: 'wrong', problems: wrong }, form);
        return;
      }
      // Edits are made on what was seen; when that has changed they would change something else.
      const seen = field(form, 'digest');
      if (request.approval.status === 'open' && seen !== request.digest) {
        await changed(ctx, session, form, fields);
        return;
      }
      // With a script the page has said it already; without one it is said here, before anything is sent.
      if (choice === 'approve' && edits.length > 0 && field(form, 'told') !== '1') {
        const asked = fields.map((one) => ({
          ...one,
          proposed: edits.find(({ path }) => path === one.path)?.value ?? one.proposed,
        }));
        const proposed = Object.fromEntries(fields.map((one) => [one.path, one.proposed]));
        await show(ctx, session, { kind: 'edited', differences: differences(asked, proposed) }, form);
        return;
      }
      try {
        await upstream.approvals.decide(
          {
            approvalId: request.approval.approvalId,
            decision: {
              decisionId: field(form, 'decisionId'),
              choice,
              edits:
                choice === 'approve'
                  ? edits.map(({ path, value }) => ({ path, value: fromJson(ValueSchema, value as JsonValue) }))
                  : [],
              reason: field(form, 'reason').trim(),
              digest: seen,
            },
          },
          { token: session.token },
        );
      } catch (error) {
        if (!(error instanceof ServiceFailure)) throw error;
        if (error.type === 'ApprovalSuperseded') await changed(ctx, session, form, fields);
        else if (error.type === 'ApprovalClosed') {
          ctx.status = 409;
          await show(ctx, session, { kind: 'closed' });
        } else if (error.type === 'InvalidInput') {
          ctx.status = 422;
          await show(ctx, session, { kind: 'wrong', problems: detailsOf(error, fields, form) }, form);
        } else throw error;
        return;
      }
      ctx.redirect(`${approvalPath(request.approval.approvalId)}?answered=1`);
      ctx.status = 303;
    }),
  );

  const changed = async (
    ctx: PageContext,
    session: PageSession,
    form: Form,
    fields: readonly EditableField[],
  ): Promise<void> => {
    ctx.status = 409;
    // The reason is kept; the lines are those of the request as it is now.
    const kept: Form = { reason: field(form, 'reason') };
    await show(ctx, session, { kind: 'changed', differences: differences(fields, seenValues(form)) }, kept);
  };
}

/** What the person had before them, as their form says it; for showing the difference only. */
function seenValues(form: Form): Readonly<Record<string, Json>> {
  try {
    const seen = JSON.parse(field(form, 'seen')) as Json;
    return typeof seen === 'object' && seen !== null && !Array.isArray(seen)
      ? (seen as Readonly<Record<string, Json>>)
      : {};
  } catch {
    return {};
  }
}

function reasonProblem(
  choice: string,
  reason: string,
  { reasonRequired }: GetApprovalResponse,
): FormProblem | undefined {
  if (choice !== 'approve' && choice !== 'reject') return { field: 'decide', message: 'Choose Approve or Reject' };
  if (reason.trim() !== '' || (choice === 'approve' && !reasonRequired)) return undefined;
  return { field: 'reason', message: choice === 'reject' ? 'Say why you reject it' : 'Say why you approve it' };
}

const detailsOf = (
  { message, details }: ServiceFailure,
  fields: readonly EditableField[],
  form: Form,
): readonly FormProblem[] => {
  const told = details.flat().flatMap((detail) => {
    const { pointer, message: words } = (detail ?? {}) as { readonly pointer?: unknown; readonly message?: unknown };
    if (typeof words !== 'string') return [];
    if (typeof pointer !== 'string') return [{ field: 'decide', message: words }];
    return [{ field: elementAt(pointer, fields, form), message: `${nameOf(pointer)}: ${words}` }];
  });
  return told.length > 0 ? told : [{ field: 'decide', message }];
};
