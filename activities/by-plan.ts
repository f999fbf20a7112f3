/** Groups what is of plans, in the order in which it came. */
export function byPlan<T extends { readonly planId: string }>(all: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const plans = new Map<string, T[]>();
  for (const one of all) {
    const known = plans.get(one.planId);
    if (known) known.push(one);
    else plans.set(one.planId, [one]);
  }
  return plans;
}
