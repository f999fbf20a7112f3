import type { Json, JsonObject } from '../../workflows/contracts/json';
import type { TaskReport } from '../../workflows/contracts/messages';
import { validatePlan } from '../../workflows/plan-language';
import { advance } from '../../workflows/plan-progress';
import { applyReport } from '../../workflows/plan-reports';
import { createRun } from '../../workflows/plan-start';
import { taskOf } from '../../workflows/plan-state';

/** Checks the plan and runs it; every task gives `output`. Gives the arguments of the last one that was sent. */
const argumentsOfLast = (value: JsonObject, inputs: JsonObject, output: Json = {}): JsonObject | undefined => {
  const { plan, problems } = validatePlan({ name: 'numbers', ...value });
  if (!plan) throw new Error(JSON.stringify(problems));
  const run = createRun({ planId: 'p', plan, inputs, owner: 'jonas', startedAt: 0 });
  let last: JsonObject | undefined;
  advance(run, 0);
  for (let batch = run.effects.dispatches; batch.length > 0; batch = run.effects.dispatches) {
    run.effects.dispatches = [];
    for (const { taskId, attempt, arguments: args } of batch) {
      last = args;
      const report: TaskReport = { planId: 'p', taskId, attempt, agent: 'a', at: '', kind: 'succeeded', output };
      applyReport(run, report, 1);
    }
    advance(run, 1);
  }
  const failed = [...run.tasks.values()].find(({ failure }) => failure);
  if (failed) throw new Error(taskOf(run, failed.id).failure?.message);
  return last;
};
const number = { type: 'number' };
const of = (properties: JsonObject): JsonObject => ({ type: 'object', properties });

describe('a number in an expression', () => {
  it.each([2, 2.5])('is a double where its input is declared a number: %d', (rate) => {
    const tasks = [{ id: 'a', capability: 'echo', with: { twice: '${{ inputs.rate * 2.0 }}' } }];
    expect(argumentsOfLast({ inputs: { rate: number }, tasks }, { rate })).toEqual({ twice: rate * 2 });
  });

  it.each([2, 2.5])('is a double where the result of a task is declared one: %d', (n) => {
    const tasks = [
      { id: 'a', capability: 'echo', output: of({ n: number, list: { type: 'array', items: number } }) },
      {
        id: 'b',
        capability: 'echo',
        needs: ['a'],
        with: { x: '${{ tasks.a.output.n + 0.5 }}', list: '${{ tasks.a.output.list.map(one, one / 2.0) }}' },
      },
    ];
    expect(argumentsOfLast({ tasks }, {}, { n, list: [n] })).toEqual({ x: n + 0.5, list: [n / 2] });
  });

  it.each([2, 2.5])('is a double in an item, and in what the items gave: %d', (n) => {
    const tasks = [
      { id: 'list', capability: 'echo', output: of({ n: number, list: { type: 'array', items: number } }) },
      {
        id: 'each',
        capability: 'echo',
        needs: ['list'],
        forEach: { in: '${{ tasks.list.output.list }}' },
        with: { half: '${{ item / 2.0 }}' },
        output: of({ n: number }),
      },
      {
        id: 'sum',
        capability: 'echo',
        needs: ['each'],
        with: { all: '${{ tasks.each.output.map(one, one.n * 1.0) }}', first: '${{ tasks.each.items[0].item * 1.0 }}' },
      },
    ];
    expect(argumentsOfLast({ tasks }, {}, { n, list: [n] })).toEqual({ all: [n], first: n });
  });

  it('is an int where it is declared an integer, or undeclared and whole; and a double otherwise', () => {
    const tasks = [
      {
        id: 'a',
        capability: 'echo',
        with: { half: '${{ inputs.count / 2 }}', whole: '${{ inputs.any.n / 2 }}', part: '${{ inputs.any.x / 2.0 }}' },
      },
    ];
    const inputs = { count: { type: 'integer' }, any: {} };
    expect(argumentsOfLast({ inputs, tasks }, { count: 5, any: { n: 5, x: 2.5 } })).toEqual({
      half: 2,
      whole: 2,
      part: 1.25,
    });
  });
});
