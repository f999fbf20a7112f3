import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { z } from 'zod';
import { type Outcome, perform } from '../../agents/sdk/perform';
import { taskFailed } from '../../agents/task-failed';
import { capability, type Work } from '../../agents/work';
import { ServiceFailure } from '../../services/runtime/failure-status';
import type { Json } from '../../workflows/contracts/json';
import type { TaskDispatch } from '../../workflows/contracts/messages';
import { createDesk, type Desk } from '../support/work';

const task: TaskDispatch = {
  planId: 'p1',
  taskId: 'work',
  attempt: 2,
  capability: 'try',
  title: 'Work',
  arguments: {},
  secrets: { token: 'bank/token' },
  timeoutMs: 60_000,
  heartbeatMs: 30_000,
  owner: 'jonas',
};

describe('a task in the hands of an agent', () => {
  let desk: Desk;
  let base: string;
  let lines: string[];
  let reports: { readonly message: string; readonly percent?: number }[];
  beforeEach(async () => {
    desk = await createDesk();
    base = mkdtempSync(join(tmpdir(), 'aats-task-'));
    [lines, reports] = [[], []];
  });
  afterEach(async () => {
    rmSync(base, { recursive: true, force: true });
    await desk.remove();
  });

  const doing = (
    run: (work: Work) => Promise<Json>,
    more: Partial<TaskDispatch> = {},
    signal = new AbortController().signal,
  ): Promise<Outcome> =>
    perform({
      task: { ...task, ...more },
      capability: capability({
        name: 'try',
        description: 'Does what it is given',
        input: z.strictObject({}),
        output: z.custom<Json>(),
        run: (_, work) => run(work),
      }),
      folder: join(base, 'folder'),
      signal,
      artifacts: {
        put: (document) => desk.keep(document),
        fetch: (reference, file) => writeFile(file, desk.contentOf(reference)),
      },
      log: pino({}, { write: (line) => lines.push(line) }).child({ plan: task.planId, task: task.taskId }),
      progress: (report) => reports.push(report),
    });
  const failure = (type: string, message: string, retryable: boolean): Outcome => ({
    kind: 'failed',
    failure: { type, message },
    retryable,
  });

  it('has a context: a key for effects, an empty folder, paths of secrets, progress and a log', async () => {
    writeFileSync(join(base, 'other'), '');
    const outcome = await doing((work) => {
      work.progress('half of it', 50);
      work.progress('x'.repeat(5000), 400);
      work.log.info({ rows: 3 }, 'read the table');
      writeFileSync(join(work.folder, 'file'), '');
      return Promise.resolve({ key: work.idempotencyKey, secrets: work.secrets });
    });
    expect(outcome).toEqual({ kind: 'succeeded', output: { key: 'p1/work', secrets: { token: 'bank/token' } } });
    expect(reports).toEqual([
      { message: 'half of it', percent: 50 },
      { message: 'x'.repeat(2000), percent: 100 },
    ]);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ plan: 'p1', task: 'work', rows: 3, msg: 'read the table' });
    expect(existsSync(join(base, 'folder'))).toBe(false);
    expect(existsSync(join(base, 'other'))).toBe(true);
  });

  it('fails for another try when its result is not what the plan expects', async () => {
    const outputSchema = { type: 'object', required: ['words'], properties: { words: { type: 'integer' } } };
    expect(await doing(() => Promise.resolve({ words: 'three' }), { outputSchema })).toMatchObject({
      kind: 'failed',
      failure: { type: 'OutputInvalid', message: expect.stringContaining('/words') as string },
      retryable: true,
    });
  });

  it('hands a large result on as a document', async () => {
    const text = 'x'.repeat(5000);
    const outcome = await doing(() => Promise.resolve({ text }));
    expect(outcome).toMatchObject({
      kind: 'succeeded',
      output: { name: 'output.json', mediaType: 'application/json' },
    });
    if (outcome.kind === 'failed') throw new Error('it failed');
    expect(JSON.parse(desk.contentOf(outcome.output as never).toString())).toEqual({ text });
  });

  it('ends at once when it is told to stop, also when the handler does not listen', async () => {
    const cancel = new AbortController();
    const outcome = doing(
      () => {
        cancel.abort(new Error('the plan no longer wants it'));
        return new Promise(() => undefined);
      },
      {},
      cancel.signal,
    );
    expect(await outcome).toEqual(failure('Cancelled', 'it was told to stop', false));
  });

  it('says what failed in words that a report can carry', async () => {
    expect(await doing(() => Promise.reject(taskFailed('LineBusy', 'nobody answered', { retryable: true })))).toEqual(
      failure('LineBusy', 'nobody answered', true),
    );
    expect(await doing(() => Promise.reject(taskFailed('TooMuch', 'x'.repeat(50_000))))).toEqual(
      failure('TooMuch', 'x'.repeat(10_000), false),
    );
    expect(await doing(() => Promise.reject(taskFailed('line busy', 'nobody answered')))).toEqual(
      failure('AgentFailed', 'line busy: nobody answered', false),
    );
    expect(await doing(() => Promise.reject(new ServiceFailure('TooLarge', 'a.bin has 300000000 bytes')))).toEqual(
      failure('TooLarge', 'a.bin has 300000000 bytes', false),
    );
    expect(await doing(() => Promise.reject(new ServiceFailure('StoreUnavailable', 'MongoDB is away')))).toEqual(
      failure('StoreUnavailable', 'MongoDB is away', true),
    );
    expect(await doing(() => Promise.reject(new Error('a bug\nat line 3')))).toEqual(
      failure('AgentFailed', 'a bug', true),
    );
    expect(lines).toHaveLength(1);
  });
});
