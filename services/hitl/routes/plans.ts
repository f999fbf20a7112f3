import type Router from '@koa/router';
import type { PlanSummary } from '../../../proto/aats/project/v1/project_pb';
import { failure } from '../../../workflows/contracts/failures';
import { authorize } from '../../runtime/roles';
import { page } from '../page/frame';
import { markup } from '../page/html';
import { note } from '../page/marks';
import { cancelMain, planMain, type PlanPage, planPath } from '../page/plan-page';
import { type TaskOrder, taskOrders } from '../page/plan-parts';
import { plansMain, type PlanView, planViews } from '../page/plans-page';
import type { PlanState } from '../plan-hub';
import type { PageSession } from '../sign-in/page-session';
import { field, type PageContext, type PageDeps, queryText, send, signedIn, surroundings } from './page-context';

// The list of workflows knows no counts; those of a page are asked one by one.
const plansShown = 20;

export const planIdOf = (ctx: PageContext): string =>
  (ctx['params'] as Record<string, string | undefined>)['plan'] ?? '';

/** What the address says about the page of a plan. */
export function planView(ctx: PageContext): Pick<PlanPage, 'order' | 'open'> & { readonly chosen: string | undefined } {
  const order = (Object.keys(taskOrders) as TaskOrder[]).find((one) => one === queryText(ctx, 'show')) ?? 'look';
  return {
    order,
    open: new Set(queryText(ctx, 'open').split(',').filter(Boolean).slice(0, 50)),
    chosen: queryText(ctx, 'task').slice(0, 200) || undefined,
  };
}

export function maySteer({ person }: PageSession): boolean {
  try {
    authorize({ kind: 'person', person, tokenId: '' }, 'aats.project.v1.ProjectManager/PausePlan');
    return true;
  } catch {
    return false;
  }
}

export function addPlans(router: Router, deps: PageDeps): void {
  const { upstream, hub } = deps;
  const planOf = async (planId: string, { token }: PageSession): Promise<PlanState> => {
    const known = hub.current(planId);
    if (known) return known;
    const { plan, tasks } = await upstream.plans.getPlan({ planId }, { token });
    if (!plan) throw failure('PlanNotFound', `there is no plan ${planId}`);
    return { plan, tasks };
  };
  const counted = (plan: PlanSummary, token: string): Promise<PlanSummary> =>
    upstream.plans.getPlan({ planId: plan.planId, taskLimit: 1 }, { token, timeoutMs: 3000 }).then(
      (full) => full.plan ?? plan,
      () => plan,
    );

  router.get(
    '/plans',
    signedIn(deps, async (ctx, session) => {
      const view = (Object.keys(planViews) as PlanView[]).find((one) => one === queryText(ctx, 'view')) ?? 'all';
      const [owner, name, from] = [queryText(ctx, 'owner'), queryText(ctx, 'name'), queryText(ctx, 'from')];
      const { token } = session;
      const [{ frame, reader }, list] = await Promise.all([
        surroundings(deps, ctx, session),
        upstream.plans.listPlans(
          {
            states: [...planViews[view].states],
            owner,
            name,
            waitingForPerson: view === 'person',
            pageSize: plansShown,
            pageToken: from,
          },
          { token },
        ),
      ]);
      const plans = await Promise.all(list.plans.map((plan) => counted(plan, token)));
      const next = new URLSearchParams({
        view,
        ...(owner !== '' && { owner }),
        ...(name !== '' && { name }),
        from: list.nextPageToken,
      });
      const main = plansMain({
        view,
        owner,
        name,
        plans,
        reader,
        now: frame.readAt,
        ...(list.nextPageToken !== '' && { next: `/plans?${next.toString()}` }),
      });
      send(ctx, page(frame, { title: 'Plans', at: 'plans', main, live: { again: ctx.url } }));
    }),
  );

  const done: Readonly<Record<string, string>> = {
    pause: 'Paused. What runs may finish; nothing new starts.',
    resume: 'The plan goes on.',
    cancel: 'The plan is being cancelled.',
    retry: 'The task runs again, and what depends on it.',
  };
  router.get(
    '/plans/:plan',
    signedIn(deps, async (ctx, session) => {
      const planId = planIdOf(ctx);
      const { order, open, chosen } = planView(ctx);
      const [{ frame, reader }, state, detail] = await Promise.all([
        surroundings(deps, ctx, session),
        planOf(planId, session),
        chosen === undefined ? undefined : upstream.plans.getTask({ planId, taskId: chosen }, { token: session.token }),
      ]);
      const said = done[queryText(ctx, 'done')];
      const main = planMain({
        ...state,
        reader,
        now: frame.readAt,
        proof: session.proof,
        maySteer: maySteer(session),
        order,
        open,
        chosen,
        detail,
        ...(said !== undefined && {
          note: note('good', said, markup`<p class="small">What you see below is the plan as it is now.</p>`),
        }),
      });
      const events = `${planPath(planId)}/events${ctx.search}`;
      send(
        ctx,
        page(frame, { title: state.plan.title, at: 'plans', main, ...(!ended(state.plan) && { live: { events } }) }),
      );
    }),
  );

  router.get(
    '/plans/:plan/cancel',
    signedIn(deps, async (ctx, session) => {
      const [{ frame }, { plan }] = await Promise.all([
        surroundings(deps, ctx, session),
        planOf(planIdOf(ctx), session),
      ]);
      send(
        ctx,
        page(frame, { title: `Cancel ${plan.title}`, at: 'plans', main: cancelMain({ plan, proof: session.proof }) }),
      );
    }),
  );

  const back = (ctx: PageContext, what: string): void => {
    ctx.redirect(`${planPath(planIdOf(ctx))}?done=${what}`);
    ctx.status = 303;
  };
  const commands = { pause: 'pausePlan', resume: 'resumePlan', cancel: 'cancelPlan' } as const;
  for (const [name, method] of Object.entries(commands))
    router.post(
      `/plans/:plan/${name}`,
      signedIn(deps, async (ctx, { token }, form) => {
        await upstream.plans[method](
          { planId: planIdOf(ctx), reason: field(form, 'reason').slice(0, 1000) },
          { token },
        );
        back(ctx, name);
      }),
    );
  router.post(
    '/plans/:plan/tasks/:task/retry',
    signedIn(deps, async (ctx, { token }) => {
      const { task = '' } = ctx['params'] as Record<string, string | undefined>;
      await upstream.plans.retryTask({ planId: planIdOf(ctx), taskId: task, reason: 'asked on the page' }, { token });
      back(ctx, 'retry');
    }),
  );
}

export const ended = ({ state }: PlanSummary): boolean => ['succeeded', 'failed', 'cancelled'].includes(state);
