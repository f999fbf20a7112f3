import { allowedPrograms, commandCapability } from '../../agents/command/capability';
import { createDesk, type Desk } from '../support/work';

const node = process.execPath;
const code = (source: string, more = {}): unknown => ({ program: node, args: ['-e', source], ...more });
const programs = allowedPrograms.parse({
  show: { program: '/usr/bin/printf', args: ['%s|'], argument: '[\\w $;]+' },
  cat: { program: '/bin/cat', argument: '[a-z.]+' },
  surroundings: code('process.stdout.write(JSON.stringify({ env: process.env, cwd: process.cwd() }))'),
  echo: code('process.stdin.pipe(process.stdout)'),
  red: code('console.error("it is red"); process.exit(3)'),
  chatter: code('for (;;) console.log("x".repeat(1000))', { outputBytes: 10_000 }),
  slow: code('setInterval(() => {}, 1000)', { timeoutSeconds: 1 }),
  hungry: code('const kept = []; for (;;) kept.push(Buffer.alloc(50e6, 1))', { memoryBytes: 400e6 }),
  // A child of its own that would outlive it and holds its output open.
  parent: code(
    `const child = require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
     console.log(child.pid); setInterval(() => {}, 1000);`,
  ),
});

describe('command agent', () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await createDesk();
  });
  afterAll(() => desk.remove());

  const command = commandCapability(programs);
  const run = async (input: object, signal?: AbortSignal): Promise<Record<string, unknown>> =>
    (await command.run(input, await desk.work(signal))) as Record<string, unknown>;

  it('gives arguments to the program as they are, without a shell', async () => {
    const { tail } = await run({ program: 'show', args: ['a b', '$HOME; id'] });
    expect(tail).toBe('a b|$HOME; id|');
  });

  it('refuses programs and arguments that are not on its list', async () => {
    await expect(run({ program: 'sh' })).rejects.toMatchObject({ type: 'ProgramNotAllowed', retryable: false });
    await expect(run({ program: 'toString' })).rejects.toMatchObject({ type: 'ProgramNotAllowed' });
    await expect(run({ program: 'show', args: ['ok', '../x'] })).rejects.toMatchObject({
      type: 'ArgumentNotAllowed',
      message: 'Argument 1 of show is not of the allowed form',
    });
    await expect(run({ program: 'red', args: ['x'] })).rejects.toMatchObject({ type: 'ArgumentNotAllowed' });
    await expect(run({ program: 'show', shell: true })).rejects.toMatchObject({ type: 'InvalidInput' });
  });

  it('shows the program nothing of the agent', async () => {
    process.env['AATS_TEST_SECRET'] = 'hunter2';
    const { tail } = await run({ program: 'surroundings' });
    const { env, cwd } = JSON.parse(String(tail)) as { env: Record<string, string>; cwd: string };
    expect(Object.keys(env).sort()).toEqual(['HOME', 'LANG', 'PATH', 'TMPDIR']);
    expect(cwd.startsWith(desk.base)).toBe(true);
  });

  it('lays documents and standard input before the program', async () => {
    const artifact = await desk.keep({ name: 'x', mediaType: 'text/plain', bytes: Buffer.from('from a document') });
    const files = [{ name: 'a.txt', artifact }];
    expect((await run({ program: 'cat', args: ['a.txt'], files }))['tail']).toBe('from a document');
    expect((await run({ program: 'echo', input: 'said' }))['tail']).toBe('said');
    await expect(run({ program: 'cat', files: [{ name: '../a.txt', artifact }] })).rejects.toMatchObject({
      type: 'InvalidInput',
    });
  });

  it('fails on a bad exit code with the last words, unless it is accepted', async () => {
    await expect(run({ program: 'red' })).rejects.toMatchObject({
      type: 'ProgramFailed',
      message: 'red ended with 3: it is red',
    });
    expect(await run({ program: 'red', accept: [3] })).toMatchObject({ exitCode: 3 });
  });

  it.each([
    ['chatter', 'LimitReached', /output/],
    ['slow', 'LimitReached', /time/],
    ['hungry', 'ProgramFailed', /hungry ended with/],
  ])('ends %s by its limits', async (program, type, message) => {
    await expect(run({ program })).rejects.toMatchObject({ type, message: expect.stringMatching(message) as string });
  });

  it('ends the program and its children when it is cancelled', async () => {
    const cancel = new AbortController();
    const running = run({ program: 'parent' }, cancel.signal);
    setTimeout(() => {
      cancel.abort(new Error('the plan was cancelled'));
    }, 500);
    await expect(running).rejects.toThrow('the plan was cancelled');
  });
});
