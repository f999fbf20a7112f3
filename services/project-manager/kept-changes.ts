import type { ChangeSet, PlanHeader } from '../../workflows/contracts/plan';

const keptPlans = 500;
const keptChanges = 200;
const ended: ReadonlySet<PlanHeader['state']> = new Set(['succeeded', 'failed', 'cancelled']);

export const hasEnded = (plan: PlanHeader | undefined): boolean => plan !== undefined && ended.has(plan.state);

/** The newest changes of the plans that were heard of last, for readers that come again. */
export function createKeptChanges() {
  const rings = new Map<string, ChangeSet[]>();
  return {
    /** Says whether it is a new one. */
    keep(change: ChangeSet): boolean {
      const known = rings.get(change.planId) ?? [];
      const newest = known.at(-1)?.cursor ?? 0;
      if (change.cursor <= newest) return false; // sent twice
      const ring = change.cursor === newest + 1 ? known : []; // what lies before a gap resumes nobody
      ring.push(change);
      if (ring.length > keptChanges) ring.shift();
      rings.delete(change.planId);
      rings.set(change.planId, ring); // the plan heard of last is forgotten last
      if (rings.size > keptPlans) rings.delete(rings.keys().next().value ?? '');
      return true;
    },
    /**
     * Changes after a cursor, when all of them are kept. Undefined otherwise, and after the end of the plan: no change
     * would ever tell a reader that has heard all of them.
     */
    since(planId: string, cursor: number): readonly ChangeSet[] | undefined {
      const ring = rings.get(planId);
      const [oldest, newest] = [ring?.[0], ring?.at(-1)];
      if (!ring || !oldest || !newest || oldest.cursor > cursor + 1 || newest.cursor < cursor) return undefined;
      if (newest.cursor === cursor && hasEnded(newest.plan)) return undefined;
      return ring.filter((change) => change.cursor > cursor);
    },
    clear(): void {
      rings.clear();
    },
  };
}
