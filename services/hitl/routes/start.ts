import { randomBytes } from 'node:crypto';
import type { JsonObject as ProtoJson } from '@bufbuild/protobuf';
import type Router from '@koa/router';
import type { ValidatePlanResponse } from '../../../proto/aats/project/v1/project_pb';
import { validatePlan } from '../../../workflows/plan-language';
import type { PlanDefinition } from '../../../workflows/contracts/plan-definition';
import { readPlanSource } from '../../runtime/plan-source';
import { page } from '../page/frame';
import { planPath } from '../page/plan-page';
import { inputProblems, readInputs, startMain, type StartPage } from '../page/start-page';
import type { PageSession } from '../sign-in/page-session';
import { field, mayCall, type PageContext, type PageDeps, send, signedIn, surroundings } from './page-context';

export const mayStart = (session: PageSession): boolean => mayCall(session, 'aats.project.v1.ProjectManager/StartPlan');

/** A plan as text, then the form of its inputs, then its start; each step also without a script. */
export function addStart(router: Router, deps: PageDeps): void {
  const { plans } = deps.upstream;
  const show = async (ctx: PageContext, session: PageSession, state: Partial<StartPage>): Promise<void> => {
    const { frame } = await surroundings(deps, ctx, session);
    const main = startMain({
      proof: session.proof,
      text: '',
      planId: '',
      form: {},
      problems: [],
      wrong: [],
      ...state,
    });
    send(ctx, page(frame, { title: 'Start a plan', at: 'plans', main }));
  };
  router.get(
    '/start',
    signedIn(deps, (ctx, session) => show(ctx, session, {})),
  );
  router.post(
    '/start',
    signedIn(deps, async (ctx, session, form) => {
      const text = field(form, 'plan');
      const source = { source: { case: 'document' as const, value: text } };
      const check = (inputs?: ProtoJson): Promise<ValidatePlanResponse> =>
        plans.validatePlan({ plan: source, ...(inputs && { inputs }) }, { token: session.token });
      const plan = planIn(text);
      if (!plan) {
        ctx.status = 422;
        await show(ctx, session, { text, problems: (await check()).problems });
        return;
      }
      const planId = /^[a-z0-9][a-z0-9-]{0,62}$/.exec(field(form, 'planId'))?.[0] ?? newId(plan.name);
      const known = { text, plan, planId, form };
      const step = field(form, 'do');
      if (step === 'read') {
        await show(ctx, session, { ...known, preview: await check() });
        return;
      }
      const { inputs, wrong } = readInputs(plan, form);
      const checked = await check(inputs as ProtoJson);
      const all = [
        ...wrong,
        ...inputProblems(checked.problems).filter(({ field: id }) => !wrong.some((one) => one.field === id)),
      ];
      if (all.length > 0 || !checked.valid || step !== 'start') {
        if (all.length > 0 || !checked.valid) ctx.status = 422;
        await show(ctx, session, {
          ...known,
          wrong: all,
          problems: checked.problems.filter(({ pointer }) => !pointer.startsWith('/inputs')),
          preview: checked,
        });
        return;
      }
      await plans.startPlan({ planId, plan: source, inputs: inputs as ProtoJson }, { token: session.token });
      ctx.redirect(`${planPath(planId)}?done=start`);
      ctx.status = 303;
    }),
  );
}

/** The plan of a text, when nothing is wrong with it; what is wrong is told by the service. */
function planIn(text: string): PlanDefinition | undefined {
  const { value, problems, lineOf, sourceOf } = readPlanSource(text);
  if (value === undefined || problems.some(({ severity }) => severity === 'error')) return undefined;
  return validatePlan(value, { lineOf, sourceOf }).plan;
}

const newId = (name: string): string =>
  `${name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 50)}-${randomBytes(4).toString('hex')}`;
