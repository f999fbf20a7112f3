import { mostSteps } from './expression-work';
import { stepsTaken } from './expressions';
import type { PlanRun } from './plan-state';

/** Steps of expressions after which a turn begins no other task: about a second, where the SDK gives a workflow five. */
export const mostStepsOfTurn = 3 * mostSteps;

export function beginTurn(run: PlanRun): void {
  if (run.goesOn) run.ready.push(...run.held.splice(0));
  run.goesOn = false;
  run.stepsUntil = stepsTaken() + mostStepsOfTurn;
}

/** Whether what is still to be evaluated waits for the next turn. */
export function isTurnOver(run: PlanRun): boolean {
  if (stepsTaken() > run.stepsUntil) run.goesOn = true;
  return run.goesOn;
}
