import { condition } from '@temporalio/workflow';
import type { PlanOutcome, PlanStart } from '../../workflows/contracts/plan';
import { planWorkflow as original } from '../../workflows/plan';

/** The plan's workflow with one timer more: a replay must notice. */
export async function planWorkflow(start: PlanStart): Promise<PlanOutcome> {
  await condition(() => false, '1 second');
  return original(start);
}
