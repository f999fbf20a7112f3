import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPlanSource } from '../../../services/runtime/plan-source';
import { analysePlan } from '../../../workflows/plan-analysis';
import { checkInputs } from '../../../workflows/plan-inputs';
import { validatePlan } from '../../../workflows/plan-language';

const root = join(__dirname, '../../..');
const plans = (folder: string): readonly string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.plan.yaml'))
    .map((name) => join(folder, name));
const check = (file: string, served: 1 | 'B' = 1) => {
  const { value, problems, lineOf } = readPlanSource(readFileSync(join(root, file), 'utf8'));
  const result = validatePlan(value ?? null, { lineOf, served });
  return { ...result, problems: [...problems, ...result.problems] };
};

describe('plans', () => {
  it.each([...plans('examples/plans'), ...plans('examples/dependency-review')])('%s is sound', (file) => {
    expect(check(file).problems).toEqual([]);
  });

  it.each(plans('test/workflows/plan-language/later'))(
    '%s is sound in the whole language, and says what this stage does not serve',
    (file) => {
      expect(check(file, 'B').problems.filter(({ severity }) => severity === 'error')).toEqual([]);
      const { problems, plan } = check(file);
      expect(plan).toBeUndefined();
      expect(new Set(problems.map(({ code }) => code))).toContain('NOT_SERVED');
    },
  );

  it('has every default written out', () => {
    expect(check('examples/plans/hello.plan.yaml').plan).toEqual({
      name: 'hello',
      title: 'hello',
      labels: {},
      inputs: {},
      result: null,
      tasks: [
        {
          id: 'greet',
          title: 'greet',
          capability: 'echo',
          with: {},
          needs: [],
          after: [],
          timeoutMs: 600_000,
          heartbeatMs: 30_000,
          retry: {
            maxAttempts: 3,
            initialIntervalMs: 1000,
            backoffCoefficient: 2,
            maxIntervalMs: 60_000,
            nonRetryable: [],
          },
          onFailure: 'fail',
          secrets: {},
        },
      ],
    });
  });

  it('tells layers, the longest way and what needs a person', () => {
    const { plan } = check('examples/dependency-review/dependency-review.plan.yaml');
    if (!plan) throw new Error('the example is wrong');
    const analysis = analysePlan(plan);
    expect(analysis.layers[0]).toEqual(['inventory']);
    expect(analysis.layers[1]).toEqual(['baseline', 'compare', 'test']);
    expect(analysis.criticalPath.at(0)).toBe('inventory');
    expect(analysis.criticalPath.at(-1)).toBe('publish');
    expect(analysis.gates).toEqual([
      { taskId: 'apply', title: 'Which upgrades shall we take?', at: 'before', by: ['group:maintainers'] },
    ]);
  });

  it('fills in the defaults of inputs and lists everything that is wrong with them', () => {
    const { plan } = check('examples/plans/trip-saga.plan.yaml');
    if (!plan) throw new Error('the example is wrong');
    expect(checkInputs(plan, { traveller: 'ana', from: 'BER', to: 'LIS' }).inputs).toEqual({
      traveller: 'ana',
      from: 'BER',
      to: 'LIS',
      wantsCar: false,
    });
    expect(
      checkInputs(plan, { traveler: 'ana', from: 1, to: 'LIS' })
        .problems.map(({ code }) => code)
        .sort(),
    ).toEqual(['MISSING_FIELD', 'SCHEMA_MISMATCH', 'UNKNOWN_FIELD']);
  });

  it('checks a chain of 1,000 tasks with an expression each', () => {
    const tasks = Array.from({ length: 1000 }, (_, at) => ({
      id: `t${at}`,
      capability: 'echo',
      ...(at > 0 && { needs: [`t${at - 1}`], with: { before: `\${{ tasks.t${at - 1}.output }}` } }),
    }));
    expect(validatePlan({ name: 'chain', tasks }).problems).toEqual([]);
  });

  it('names people that do not exist, and plans that nobody could approve', () => {
    const directory = {
      people: [
        { name: 'ana', roles: ['aats-operator'], groups: ['maintainers'] },
        { name: 'jonas', roles: ['aats-admin'], groups: ['owners'] },
      ],
    };
    const plan = (by: string) => ({ name: 'p', tasks: [{ id: 'a', capability: 'echo', approval: { by: [by] } }] });
    const codes = (by: string) =>
      validatePlan(plan(by), { directory, requester: 'jonas' }).problems.map(({ code }) => code);
    expect(codes('group:maintainers')).toEqual([]);
    expect(codes('group:maintainer')).toEqual(['UNKNOWN_WHO']);
    expect(codes('person:jonas')).toEqual(['NO_APPROVER']);
  });
});
