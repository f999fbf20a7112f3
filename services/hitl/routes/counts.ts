import type { ApprovalSummary, PlanSummary } from '../../../proto/aats/project/v1/project_pb';
import { planViews, type PlanView } from '../page/plans-page';
import type { Upstream } from '../upstream';

const plansKept = 1000;
/** As many as a list gives at once; `40`, or `200+` when there are more. */
export const readAtOnce = 200;
export const countWords = (count: number, isMore: boolean): string => `${count}${isMore ? '+' : ''}`;

/** What is the same for everybody who may see plans: asked once by this process for all that look at the same time. */
export interface Counts {
  plans(view: PlanView, token: string): Promise<string>;
  /** The plan with its counts, which the list of plans does not know; what has ended is asked once. */
  counted(plan: PlanSummary, token: string): Promise<PlanSummary>;
  /** The newest answered requests. */
  done(token: string): Promise<{ readonly approvals: readonly ApprovalSummary[]; readonly count: string }>;
}

export function createCounts({ plans, approvals }: Pick<Upstream, 'plans' | 'approvals'>): Counts {
  const views = Object.fromEntries(
    Object.entries(planViews).map(([view, { states }]) => [
      view,
      remembered(view === 'running' ? 1000 : 5000, async (token) => {
        const answer = await plans.listPlans(
          { states: [...states], waitingForPerson: view === 'person', pageSize: readAtOnce },
          { token },
        );
        return countWords(answer.plans.length, answer.nextPageToken !== '');
      }),
    ]),
  ) as Readonly<Record<PlanView, (token: string) => Promise<string>>>;
  const summaries = new Map<string, (token: string) => Promise<PlanSummary>>();
  const summaryOf = (plan: PlanSummary): ((token: string) => Promise<PlanSummary>) => {
    const key = `${plan.planId} ${plan.state} ${plan.endedAt?.seconds ?? 0}`;
    const known =
      summaries.get(key) ??
      remembered(plan.endedAt ? Infinity : 2000, async (token) => {
        const full = await plans.getPlan({ planId: plan.planId, taskLimit: 1 }, { token, timeoutMs: 3000 });
        return full.plan ?? plan;
      });
    summaries.delete(key);
    summaries.set(key, known);
    const [oldest] = summaries.keys();
    if (summaries.size > plansKept && oldest !== undefined) summaries.delete(oldest);
    return known;
  };
  return {
    counted: (plan, token) => summaryOf(plan)(token).catch(() => plan),
    plans: (view, token) => views[view](token),
    done: remembered(5000, async (token) => {
      const answer = await approvals.listApprovals({ view: 'done', pageSize: readAtOnce }, { token });
      return {
        approvals: answer.approvals,
        count: countWords(answer.approvals.length, answer.nextPageToken !== ''),
      };
    }),
  };
}

/** The same answer for so long; one that failed is asked for again. */
function remembered<T>(milliseconds: number, ask: (token: string) => Promise<T>): (token: string) => Promise<T> {
  let known: { readonly answer: Promise<T>; readonly until: number } | undefined;
  return (token) => {
    if (known && known.until > Date.now()) return known.answer;
    const answer = ask(token);
    const mine = { answer, until: Date.now() + milliseconds };
    known = mine;
    answer.catch(() => {
      if (known === mine) known = undefined;
    });
    return answer;
  };
}
