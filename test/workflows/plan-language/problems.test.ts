import type { PlanSource } from '../../../proto/aats/project/v1/project_pb';
import { takeInPlan } from '../../../services/project-manager/plan-intake';
import { readPlanSource } from '../../../services/runtime/plan-source';
import type { Json } from '../../../workflows/contracts/json';
import { checkInputs } from '../../../workflows/plan-inputs';
import { validatePlan } from '../../../workflows/plan-language';

const inputs = {
  flag: { type: 'boolean' },
  names: { type: 'array', items: { type: 'string' } },
  open: {},
};
/** Code and place of each problem of a plan with this task. */
const ofTask = (task: Record<string, Json>, plan: Record<string, Json> = {}): readonly string[] =>
  validatePlan({ name: 'p', inputs, tasks: [{ id: 'a', capability: 'echo', ...task }], ...plan }).problems.map(
    ({ code, pointer }) => `${code} ${pointer}`,
  );
const words = (task: Record<string, Json>): readonly string[] =>
  validatePlan({ name: 'p', inputs, tasks: [{ id: 'a', capability: 'echo', ...task }] }).problems.map(
    ({ message }) => message,
  );
const expression = (source: string): string => `\${{ ${source} }}`;

describe('problems', () => {
  it('are told once each, whatever else would be wrong with the same words', () => {
    expect(ofTask({ needs: ['b-c'] })).toEqual(['BAD_VALUE /tasks/0/needs/0']);
    expect(ofTask({ needs: [expression('inputs.open')] })).toEqual(['EXPRESSION_NOT_ALLOWED /tasks/0/needs/0']);
    expect(ofTask({ secrets: { a: expression('inputs.open') } })).toEqual([
      'EXPRESSION_NOT_ALLOWED /tasks/0/secrets/a',
    ]);
    expect(ofTask({ heartbeat: '20m' })).toEqual(['BAD_VALUE /tasks/0/heartbeat']);
    expect(ofTask({ retry: { initialInterval: '5m', maxInterval: '1m' } })).toEqual([
      'BAD_VALUE /tasks/0/retry/maxInterval',
    ]);
    expect(ofTask({ when: '' })).toEqual(['EXPRESSION_REQUIRED /tasks/0/when']);
    expect(ofTask({ approval: { by: [''] } })).toEqual(['BAD_VALUE /tasks/0/approval/by/0']);
    expect(ofTask({ with: { x: expression('item.a + item.b') } })).toEqual(['UNKNOWN_VARIABLE /tasks/0/with/x']);
  });

  it('are none where a first wait is longer than the default of the longest', () => {
    const retry = { initialInterval: '5m' };
    const { plan, problems } = validatePlan({ name: 'p', tasks: [{ id: 'a', capability: 'echo', retry }] });
    expect(problems).toEqual([]);
    expect(plan?.tasks[0]?.retry).toMatchObject({ initialIntervalMs: 300_000, maxIntervalMs: 300_000 });
  });

  it('hold remedies that are right', () => {
    expect(words({ timeout: '0s' })).toEqual([expect.stringContaining('write one whole number and one unit')]);
    expect(words({ timeout: '010s' })).toEqual(['"010s" is not a duration; write "10s".']);
    expect(words({ when: '{{ inputs.flag }}' })).toEqual(['when must be an expression; write ${{ inputs.flag }}.']);
    expect(words({ when: '${inputs.flag}' })).toEqual(['when must be an expression; write ${{ inputs.flag }}.']);
    expect(words({ capability: '日本' })).toEqual([expect.stringContaining('write "work"')]);
    expect(words({ approval: { by: ['*'] } })).toEqual([expect.stringContaining('group:maintainers')]);
    expect(words({ id: '' })).toContain('id is empty; write one.');
    expect(words({ '{{source}}': 1 })[0]).toContain('"{{source}}"');
    expect(words({ zzz: 1 })[0]).not.toContain('concurrencyGroup');
  });

  it.each<[string, Record<string, Json>, string]>([
    ['an expression in a key', { with: { [expression('inputs.open')]: 1 } }, 'EXPRESSION_NOT_ALLOWED'],
    ['an expression in a schema', { output: { default: [expression('plan.id')] } }, 'EXPRESSION_NOT_ALLOWED'],
    ['a type of failure that none can have', { retry: { nonRetryable: ['my failure'] } }, 'BAD_VALUE'],
    ['a version that the plan does not have', { with: { x: expression('plan.version') } }, 'UNKNOWN_PROPERTY'],
    ['a title that is a list', { title: expression('inputs.names') }, 'EXPRESSION_TYPE'],
    ['a heading that is null', { approval: { by: ['role:aats-admin'], title: expression('null') } }, 'EXPRESSION_TYPE'],
    ['bytes', { with: { x: expression('b"abc"') } }, 'EXPRESSION_TYPE'],
    ['times in a list', { with: { x: expression('[timestamp("2026-01-01T00:00:00Z")]') } }, 'EXPRESSION_TYPE'],
    ['bytes in a map', { with: { x: expression('{"a": b"abc"}') } }, 'EXPRESSION_TYPE'],
    ['a time as a value', { with: { x: expression('timestamp("2026-01-01T00:00:00Z")') } }, 'EXPRESSION_TYPE'],
    ['an unsigned number', { with: { x: expression('1u') } }, 'EXPRESSION_TYPE'],
    ['a function that is not offered', { with: { x: expression('"a".lastIndexOf("a")') } }, 'BAD_EXPRESSION'],
    ['a clock', { with: { x: expression('now()') } }, 'BAD_EXPRESSION'],
    ['secrets inside with', { with: { secrets: {} } }, 'MISPLACED_FIELD'],
  ])('name %s', (_, task, code) => {
    expect(ofTask(task).map((one) => one.split(' ')[0])).toEqual([code]);
  });

  it('name characters that no store keeps, in a plan and in its inputs', () => {
    expect(ofTask({ title: 'a\0b', with: { x: { y: ['\ud83d', '😀'] } } })).toEqual([
      'BAD_VALUE /tasks/0/title',
      'BAD_VALUE /tasks/0/with/x/y/0',
    ]);
    expect(ofTask({ with: { 'a\0': 1 } })).toEqual(['BAD_VALUE /tasks/0/with']);
    const { plan } = validatePlan({ name: 'p', inputs: { x: {} }, tasks: [{ id: 'a', capability: 'echo' }] });
    expect(plan && checkInputs(plan, { x: ['a\0'] }).problems.map(({ code, pointer }) => `${code} ${pointer}`)).toEqual(
      ['BAD_VALUE /inputs/x/0'],
    );
  });

  it('name more than 100 inputs', () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`i${at}`, { type: 'string' }]));
    expect(ofTask({}, { inputs: many })).toEqual(['TOO_LARGE /inputs']);
  });

  it('name the approval of a task that has none', () => {
    const tasks = (first: Record<string, Json>): Json => ({
      name: 'p',
      tasks: [
        { id: 'a', capability: 'echo', ...first },
        { id: 'b', capability: 'echo', needs: ['a'], with: { x: expression('tasks.a.approval.reason') } },
      ],
    });
    expect(validatePlan(tasks({})).problems.map(({ code }) => code)).toEqual(['UNKNOWN_PROPERTY']);
    expect(validatePlan(tasks({ approval: { by: ['role:aats-admin'] } })).problems).toEqual([]);
  });

  it('leave alone what type() is compared with', () => {
    expect(ofTask({ when: expression('type(inputs.open) == string') })).toEqual([]);
  });

  it('of thousands are answered by the first thousand, and how many there are', () => {
    const value = JSON.stringify({ ...Object.fromEntries(Array.from({ length: 2500 }, (_, at) => [`k${at}`, 1])) });
    const { problems, plan } = takeInPlan({ source: { case: 'document', value } } as PlanSource, 'jonas', {});
    expect(plan).toBeUndefined();
    expect(problems).toHaveLength(1001);
    expect(problems.at(-1)?.message).toBe('There are 2502 problems; the first 1000 are listed.');
  });

  it('that are warnings stop no plan, however many, and hide no error', () => {
    const tasks = Array.from({ length: 1200 }, (_, at) => ({ id: `t${at}`, capability: 'nobody-offers-this' }));
    const taken = (more: readonly object[]) => {
      const value = JSON.stringify({ name: 'p', tasks: [...tasks, ...more] }, null, 1);
      return takeInPlan({ source: { case: 'document', value } } as PlanSource, 'jonas', { capabilities: ['echo'] });
    };
    const sound = taken([]);
    expect(sound.plan?.tasks).toHaveLength(1200);
    expect(new Set(sound.problems.map(({ severity }) => severity))).toEqual(new Set(['warning']));
    expect(taken([{ id: 'last' }]).problems[0]).toMatchObject({ severity: 'error', code: 'MISSING_FIELD' });
  });

  it('of names of a megabyte are found within seconds, and are not as long themselves', () => {
    const [problem] = validatePlan({
      name: 'p',
      tasks: [{ id: 'a', capability: 'e', ['z'.repeat(900_000)]: 1 }],
    }).problems;
    expect(problem?.message.length).toBeLessThan(2000);
    const { value, problems } = readPlanSource(`{ "${'k'.repeat(300_000)}": [${'1,'.repeat(1000)}] }`);
    expect(value).toBeUndefined();
    expect(problems.map(({ code }) => code)).toEqual(['TOO_LARGE']);
  });
});
