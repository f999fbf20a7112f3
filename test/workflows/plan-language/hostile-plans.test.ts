import fc from 'fast-check';
import { readPlanSource } from '../../../services/runtime/plan-source';
import type { Json } from '../../../workflows/contracts/json';
import { validatePlan, type ValidationOptions } from '../../../workflows/plan-language';

const problemsOf = (value: Json, options: ValidationOptions = {}) =>
  validatePlan(value, options).problems.map(({ code, pointer }) => `${code} ${pointer}`);
const withTask = (task: Record<string, Json>): Json => ({
  name: 'p',
  tasks: [{ id: 'a', capability: 'echo', ...task }],
});

const chain = (length: number): Json => ({
  name: 'chain',
  tasks: Array.from({ length }, (_, at) => ({
    id: `t${at}`,
    capability: 'echo',
    ...(at > 0 && { needs: [`t${at - 1}`], with: { before: `\${{ tasks.t${at - 1}.output }}` } }),
  })).reverse(),
});
/** Time of this process alone, for the machine may be busy with others. */
const cpuMs = (work: () => void): number => {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
};

describe('a hostile or careless plan', () => {
  it('is refused for a value of a later stage, as for a field of one', () => {
    expect(problemsOf(withTask({ onFailure: 'ask' }))).toEqual(['NOT_SERVED /tasks/0/onFailure']);
    expect(problemsOf(withTask({ onFailure: 'ask' }), { served: 2 })).toEqual([]);
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'is told that %s is no field, no variable and no function',
    (word) => {
      const task = JSON.parse(`{ "id": "a", "capability": "echo", "${word}": 1 }`) as Json;
      expect(problemsOf({ name: 'p', tasks: [task] })).toEqual([`UNKNOWN_FIELD /tasks/0/${word}`]);
      expect(problemsOf(withTask({ with: { x: `\${{ ${word} }}` } }))[0]).toMatch(
        /^(UNKNOWN_VARIABLE|BAD_EXPRESSION) \/tasks\/0\/with\/x$/,
      );
      expect(problemsOf(withTask({ with: { x: `\${{ ${word}(1) }}` } }))[0]).toContain('/tasks/0/with/x');
    },
  );

  it.each<[string, Json]>([
    ['a reference to nothing', { $ref: '#/$defs/none', default: 1 }],
    ['a reference to itself', { $ref: '#', default: 1 }],
    ['properties that are a list', { type: 'object', properties: [], default: {} }],
    ['required that is a number', { type: 'object', required: 3, default: {} }],
    ['a length that is a text', { type: 'string', minLength: 'three', default: 'x' }],
    ['an enum that is a map', { enum: { a: 1 }, default: 'x' }],
    ['allOf that is a map', { allOf: {}, default: 'x' }],
  ])('is told of a schema with %s', (_, schema) => {
    expect(problemsOf({ name: 'p', inputs: { x: schema }, tasks: [{ id: 'a', capability: 'echo' }] })[0]).toMatch(
      /^BAD_SCHEMA \/inputs\/x/,
    );
  });

  it.each(['((a+))+', '((a+)b?)*', '(?:(?:a|b)+c*)+', '(a+){30}', '(a*)*', '(?=a)', '(a)\\1', '([(]a+)*'])(
    'is refused for the slow pattern %s',
    (pattern) => {
      const plan = { name: 'p', inputs: { x: { type: 'string', pattern } }, tasks: [{ id: 'a', capability: 'echo' }] };
      expect(problemsOf(plan)).toEqual(['BAD_SCHEMA /inputs/x/pattern']);
    },
  );

  it.each(['^[a-z]+(-[a-z]+)?$', '^(a|b){2}$', '^[(+]*$', '\\(a+\\)+', '^\\d{4}-\\d{2}$'])(
    'may use the pattern %s',
    (pattern) => {
      const plan = { name: 'p', inputs: { x: { type: 'string', pattern } }, tasks: [{ id: 'a', capability: 'echo' }] };
      expect(problemsOf(plan)).toEqual([]);
    },
  );

  it('is checked in a time that grows with its length, not with the square of it', () => {
    const check = (length: number) => () => {
      expect(problemsOf(chain(length))).toEqual([]);
    };
    check(100)();
    const short = cpuMs(check(500));
    const long = cpuMs(check(2000));
    expect(long).toBeLessThan(10 * Math.max(short, 100));
  });

  it('is checked within seconds when nothing that it names exists', () => {
    const tasks = Array.from({ length: 2000 }, (_, at) => ({
      id: `task${at}`,
      capability: 'echo',
      needs: [`tusk${at}`],
    }));
    expect(problemsOf({ name: 'p', tasks })).toHaveLength(2000);
  });

  it('is checked within seconds when each of 50 plans uses all later ones', () => {
    const names = Array.from({ length: 50 }, (_, at) => `p${at}`);
    const plans = Object.fromEntries(
      names.map((name, at) => [
        name,
        {
          tasks: [
            { id: 'work', capability: 'echo' },
            ...names.slice(at + 1).map((plan, index) => ({ id: `t${index}`, plan })),
          ],
        },
      ]),
    );
    expect(problemsOf({ name: 'p', plans, tasks: [{ id: 'a', plan: 'p0' }] }, { served: 'B' })).toEqual([]);
  });

  it.each(['[', '{a: '])('is refused, not fatal, when 50,000 levels of %s are open', (open) => {
    const { value, problems } = readPlanSource(open.repeat(50_000));
    expect(value).toBeUndefined();
    expect(problems[0]?.code).toMatch(/SYNTAX|TOO_LARGE/);
  });

  it('gets problems and never an exception, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom('with', 'approval', 'output', 'needs', 'retry'),
        (one, field) => {
          validatePlan(one as Json);
          validatePlan(withTask({ [field]: one as Json }));
          validatePlan({ name: 'p', inputs: one as Json, tasks: [one as Json], result: one as Json }, { served: 'B' });
        },
      ),
      { numRuns: 300 },
    );
  });

  const hello = 'name: p\ntasks:\n  - id: a\n    capability: echo\n';
  const manyAliases = Array.from({ length: 7 }, (_, at) => `l${at}: &l${at} [${`*l${at - 1},`.repeat(14)}]`).slice(1);
  it.each<[string, string, string]>([
    ['an alias of nothing', `${hello}    with: { x: *nope }`, 'SYNTAX 5'],
    ['a map that holds itself', `${hello}    with: &w { x: *w }`, 'SYNTAX 5'],
    ['a list that holds itself', `${hello}    with: { l: &l [1, *l] }`, 'SYNTAX 5'],
    ['aliases of aliases', `l0: &l0 [${'x,'.repeat(14)}]\n${manyAliases.join('\n')}`, 'TOO_LARGE 1'],
    ['a merge key', `${hello}    with: { <<: { a: 1 }, b: 2 }`, 'SYNTAX 5'],
    ['a tag that the parser knows', `${hello}    with: { x: !!str 5 }`, 'SYNTAX 5'],
    ['a tag of a map', `${hello}    with: !!map { x: 5 }`, 'SYNTAX 5'],
    ['YAML 1.1', `%YAML 1.1\n---\n${hello}    with: { x: yes }`, 'SYNTAX 1'],
    ['two directives', `%YAML 1.2\n%YAML 1.2\n---\n${hello}`, 'SYNTAX 2'],
    ['a hundred thousand directives', `${'%X y\n'.repeat(100_000)}---\n${hello}`, 'SYNTAX 1'],
    ['a list as a key', `${hello}    with: { [a, b]: 1 }`, 'SYNTAX 5'],
    ['null as a key', `${hello}    with: { ~: 1 }`, 'SYNTAX 5'],
    ['keys in keys', '? '.repeat(2000), 'SYNTAX 1'],
  ])('is told of %s, once and with its line', (_, text, expected) => {
    const { value, problems } = readPlanSource(text);
    expect(value).toBeUndefined();
    expect([...new Set(problems.map(({ code, line }) => `${code} ${line}`))]).toEqual([expected]);
    expect(new Set(problems.map(({ message }) => message)).size).toBe(problems.length);
  });

  it('may have 100 aliases, "<<" as an argument in quotes, and say that it is YAML 1.2', () => {
    const { value, problems } = readPlanSource(
      `%YAML 1.2\n---\n${hello}    with: { a: &a { b: 1 }, "<<": 1, l: [${Array(100).fill('*a').join()}] }`,
    );
    expect(problems).toEqual([]);
    expect(validatePlan(value ?? null).problems).toEqual([]);
  });
});
