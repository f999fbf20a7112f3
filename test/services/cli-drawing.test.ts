import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Drawing, drawPlan } from '../../cli/plan-drawing';
import { cut, duration, safe, type Terminal, width, wrap } from '../../cli/terminal';
import { PlanSummarySchema, TaskStateSchema } from '../../proto/aats/project/v1/project_pb';

const terminalOf = (columns: number): Terminal => ({
  columns,
  isTerminal: true,
  paint: (_colour, text) => text,
  line: () => undefined,
  error: () => undefined,
  doing: () => undefined,
});
const now = Date.UTC(2026, 10, 24, 11, 25);
const at = (secondsAgo: number) => timestampFromMs(now - secondsAgo * 1000);
const item = (index: number, name: string, state: string, more: object = {}) =>
  create(TaskStateSchema, {
    id: `test.${index}`,
    title: `Run the tests with ${name}`,
    parent: 'test',
    state,
    attempt: 1,
    startedAt: at(60),
    endedAt: at(50),
    ...more,
  });
const tasks = [
  create(TaskStateSchema, {
    id: 'read',
    title: 'Read package.json',
    state: 'succeeded',
    attempt: 1,
    agent: 'inspector',
    startedAt: at(70),
    endedAt: at(63),
  }),
  create(TaskStateSchema, {
    id: 'test',
    title: 'test',
    state: 'succeeded',
    needs: ['read'],
    items: { succeeded: 3, failed: 1 },
  }),
  item(0, 'bcrypt', 'succeeded'),
  item(1, 'zod', 'failed', { failure: { type: 'TestsFailed', message: '14 of 412 tests fail' } }),
  item(2, 'sharp', 'succeeded', { attempt: 2 }),
  item(3, 'undici', 'succeeded'),
  create(TaskStateSchema, {
    id: 'apply',
    title: 'Apply on a branch',
    state: 'waiting',
    needs: ['test'],
    readyAt: at(40),
    approvalId: 'p-1/apply/1',
    hasCompensation: true,
  }),
  create(TaskStateSchema, { id: 'publish', title: 'Publish report', state: 'pending', needs: ['apply'] }),
];
const plan = create(PlanSummarySchema, {
  planId: 'p-1',
  title: 'Review the dependencies',
  state: 'running',
  startedAt: at(70),
  waitingFor: [{ approvalId: 'p-1/apply/1', taskId: 'apply', title: 'Which ones?', by: ['group:maintainers'] }],
});
const drawing: Drawing = { plan, tasks, progress: new Map(), now, onlyLooks: false };

describe('the drawing of a plan', () => {
  it('folds what went well, and shows what needs a look', () => {
    expect(drawPlan(terminalOf(80), drawing)).toEqual([
      'Review the dependencies  p-1                                              ● live',
      '► running · 5 of 7 tasks · 1 failed, allowed to                         1 m 10 s',
      `${'█'.repeat(69)}${'·'.repeat(11)}`,
      '',
      '  ✓ ┃ Read package.json     inspector                                        7 s',
      '  ✓ ┃ Run the tests with …  ████ 3, 1 failed                           10 s each',
      '  ■   zod                   TestsFailed: 14 of 412 tests fail               10 s',
      '  ✓   sharp                 try 2                                           10 s',
      '  ◆ ┃ Apply on a branch     anybody of maintainers: Which ones?             40 s',
      '      answer: aats approval show p-1/apply/1',
      '  ○ ┃ Publish report        next',
      '  ◦   Undo: Apply on a branch   only if a later task fails',
      '',
      '┃ critical path   ✓ done  ► running  ◆ waits for a person  ■ failed  ○ to come',
    ]);
  });
  it('keeps to the width and to the lines that there are, whatever a plan has', () => {
    const wide = '项目依赖关系审查 🚀 '.repeat(20);
    const many = Array.from({ length: 500 }, (_, index) =>
      create(TaskStateSchema, {
        id: `t${index}`,
        title: wide,
        state: ['succeeded', 'running', 'pending', 'failed'][index % 4] ?? '',
        failure: { type: 'X', message: wide },
      }),
    );
    const odd = create(PlanSummarySchema, { planId: 'p-1', title: wide, state: 'failing', startedAt: at(70) });
    for (const columns of [80, 120]) {
      const lines = drawPlan(terminalOf(columns), { ...drawing, plan: odd, tasks: many, room: 30 });
      expect(lines).toHaveLength(30);
      expect(lines.filter((line) => width(line) > columns)).toEqual([]);
      expect(lines).toContain('  ✓   125 done');
      expect(lines).toContain('  ○   125 to come');
    }
  });
  it('shows only what needs a look when asked, and says that nothing does', () => {
    const looks = drawPlan(terminalOf(80), { ...drawing, onlyLooks: true }).join('\n');
    expect(looks).toContain('zod');
    expect(looks).not.toContain('Publish report');
    expect(drawPlan(terminalOf(80), { ...drawing, tasks: tasks.slice(0, 1), onlyLooks: true })).toContain(
      '  Nothing needs a look.',
    );
  });
  it('says since when it is not live, and when it was read', () => {
    expect(drawPlan(terminalOf(80), { ...drawing, silentSince: new Date() })[0]).toMatch(/○ not live since \d\d:\d\d/);
    expect(drawPlan(terminalOf(80), { ...drawing, isReading: true })[0]).toMatch(/read at /);
  });
});

describe('text of others on the terminal', () => {
  it('is one line in which nothing hides', () => {
    expect(safe('a\n\u001b[31mb\u202ec\u009b1m\u00ad')).toBe('a U+001B[31mbU+202EcU+009B1mU+00AD');
  });
  it('is measured and cut in columns', () => {
    expect(width('\u001b[31m漢字\u001b[0m')).toBe(4);
    expect(cut('漢字漢字', 5)).toBe('漢字…');
    expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
    expect([7_000, 112_000, 7_560_000, 93_600_000].map(duration)).toEqual(['7 s', '1 m 52 s', '2 h 06 m', '1 d 2 h']);
  });
});
