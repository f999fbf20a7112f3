import type Router from '@koa/router';
import type { PlanSummary } from '../../../proto/aats/project/v1/project_pb';
import { failure } from '../../../workflows/contracts/failures';
import { page } from '../page/frame';
import { markup } from '../page/html';
import { note } from '../page/marks';
import type { OpenGroups } from '../page/graph-fold';
import { graphDot, graphFile, graphMermaid } from '../page/graph-text';
import { cancelMain, drawingOf, planMain, type PlanPage, planPath } from '../page/plan-page';
import { drawnBoxes, type PlanNow, type TaskOrder, taskOrders, wholePage } from '../page/plan-parts';
import { plansMain, type PlanView, planViewNames, planViews } from '../page/plans-page';
import type { PlanState } from '../plan-hub';
import type { PageSession } from '../sign-in/page-session';
import { mayStart } from './start';
import {
  field,
  mayCall,
  type PageContext,
  type PageDeps,
  queryText,
  send,
  signedIn,
  surroundings,
} from './page-context';

type GraphView = NonNullable<ReturnType<typeof drawnBoxes>>;

// The list of workflows knows no counts; those of a page are asked one by one.
const plansShown = 20;

export const planIdOf = (ctx: PageContext): string =>
  (ctx['params'] as Record<string, string | undefined>)['plan'] ?? '';

/** What the address says about the page of a plan. */
export function planView(
  ctx: PageContext,
): Pick<PlanPage, 'order' | 'open' | 'asText'> & { readonly chosen: string | undefined } {
  const order = (Object.keys(taskOrders) as TaskOrder[]).find((one) => one === queryText(ctx, 'show')) ?? 'look';
  return {
    order,
    open: openGroups(queryText(ctx, 'open')),
    asText: queryText(ctx, 'graph') === 'text',
    chosen: queryText(ctx, 'task').slice(0, 200) || undefined,
  };
}

const openGroups = (text: string): OpenGroups =>
  new Map(
    text
      .split(',')
      .filter(Boolean)
      .slice(0, 50)
      .map((one) => {
        const [group = '', from = ''] = one.split('~');
        return [group, /^\d{1,5}$/.test(from) ? Number(from) : 0] as const;
      }),
  );

export const maySteer = (session: PageSession): boolean => mayCall(session, 'aats.project.v1.ProjectManager/PausePlan');

export function addPlans(router: Router, deps: PageDeps): void {
  const { upstream, hub } = deps;
  const planOf = async (planId: string, { token }: PageSession): Promise<PlanState> => {
    const known = hub.current(planId);
    if (known) return known;
    const { plan, tasks } = await upstream.plans.getPlan({ planId }, { token });
    if (!plan) throw failure('PlanNotFound', `there is no plan ${planId}`);
    return { plan, tasks };
  };
  router.get(
    '/plans',
    signedIn(deps, async (ctx, session) => {
      const view = planViewNames.find((one) => one === queryText(ctx, 'view')) ?? 'all';
      const [owner, name, from] = [queryText(ctx, 'owner'), queryText(ctx, 'name'), queryText(ctx, 'from')];
      const { token } = session;
      const [{ frame, reader }, counts, list] = await Promise.all([
        surroundings(deps, ctx, session),
        Promise.all(planViewNames.map((one) => deps.counts.plans(one, token))),
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
      const plans = await Promise.all(list.plans.map((plan) => deps.counts.counted(plan, token)));
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
        mayStart: mayStart(session),
        counts: Object.fromEntries(planViewNames.map((one, index) => [one, counts[index] ?? ''])) as Record<
          PlanView,
          string
        >,
        reader,
        now: frame.readAt,
        ...(list.nextPageToken !== '' && { next: `/plans?${next.toString()}` }),
      });
      send(ctx, page(frame, { title: 'Plans', at: 'plans', main, live: { again: ctx.url } }));
    }),
  );

  const done: Readonly<Record<string, string>> = {
    start: 'The plan is started.',
    pause: 'Paused. What runs may finish; nothing new starts.',
    resume: 'The plan goes on.',
    cancel: 'The plan is being cancelled.',
    retry: 'The task runs again, and what depends on it.',
  };
  router.get(
    '/plans/:plan',
    signedIn(deps, async (ctx, session) => {
      const planId = planIdOf(ctx);
      const view = planView(ctx);
      const { chosen } = view;
      const [{ frame, reader }, [state, gates], detail] = await Promise.all([
        surroundings(deps, ctx, session),
        planOf(planId, session).then(async (known) => [known, await deps.gates.of(known.plan, session.token)] as const),
        chosen === undefined ? undefined : upstream.plans.getTask({ planId, taskId: chosen }, { token: session.token }),
      ]);
      const said = done[queryText(ctx, 'done')];
      const main = planMain({
        ...state,
        ...view,
        gates,
        reader,
        now: frame.readAt,
        proof: session.proof,
        maySteer: maySteer(session),
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

  const files = {
    svg: [
      'image/svg+xml',
      (_now: PlanNow, { nodes, address }: GraphView) => graphFile(nodes, { room: wholePage.room, address }),
    ],
    dot: ['text/vnd.graphviz', ({ plan }: PlanNow, { nodes }: GraphView) => graphDot(plan.title, nodes)],
    mmd: ['text/vnd.mermaid', (_now: PlanNow, { nodes }: GraphView) => graphMermaid(nodes)],
  } as const;
  for (const [kind, [type, make]] of Object.entries(files))
    router.get(
      `/plans/:plan/graph.${kind}`,
      signedIn(deps, async (ctx, session) => {
        const state = await planOf(planIdOf(ctx), session);
        const gates = await deps.gates.of(state.plan, session.token);
        // A file goes round: nobody is "you" in it, and its links are whole.
        const reader = { name: '', asked: new Set<string>() };
        const now: PlanNow = { ...state, gates, reader, now: new Date() };
        const drawn = drawnBoxes(now, drawingOf({ ...planView(ctx), plan: state.plan }));
        if (!drawn) throw failure('TooLarge', 'this plan has more steps than fit into a picture, even folded');
        ctx.attachment(`${state.plan.planId}.${kind}`);
        ctx.type = type;
        ctx.body = make(now, { ...drawn, address: (node) => `https://${ctx.host}${drawn.address(node)}` });
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
