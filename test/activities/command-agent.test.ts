import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../agents/command/run-program';
import { allowedPrograms, commandCapability } from '../../agents/command/capability';
import { createDesk, type Desk } from '../support/work';

const node = process.execPath;
/** Where the kernel lets this user make namespaces, programs must be in them. */
const mayIsolate = [['--pid'], ['--user', '--pid']].some(
  (flags) => spawnSync('unshare', [...flags, '--fork', 'true']).status === 0,
);
const hidersNap = `300.${process.pid}`;
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
  // Each of five has less than the limit, all of them together have more.
  hungry5: code(
    `const eat = 'const kept = Buffer.alloc(100e6, 1); setInterval(() => kept, 1000)';
     for (let n = 0; n < 5; n++) require('child_process').spawn(process.execPath, ['-e', eat]);
     setInterval(() => {}, 1000);`,
    { memoryBytes: 400e6 },
  ),
  // It doubles slower than it could: it is counted four times a second, and the tests beside it want to go on.
  bomb: { program: '/bin/bash', args: ['-c', 'f() { sleep 0.1; f | f & }; f; sleep 20'], processes: 20 },
  // Children that leave the group and the session, one of them with its parent gone.
  runaway: {
    program: '/bin/bash',
    args: ['-c', 'setsid sleep 300 & (setsid sleep 300 > /dev/null 2>&1 &); sleep 0.3; echo $AATS_RUN'],
  },
  // Nothing tells any more whose it is.
  hider: {
    program: '/bin/bash',
    args: ['-c', `(env -i setsid sleep ${hidersNap} > /dev/null 2>&1 &); sleep 0.1`],
  },
  filler: { program: '/bin/dd', args: ['if=/dev/zero', 'of=file', 'bs=1M', 'count=50'], fileBytes: 1_000_000 },
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
    // Its children are known by AATS_RUN.
    expect(Object.keys(env).sort()).toEqual(['AATS_RUN', 'HOME', 'LANG', 'PATH', 'TMPDIR']);
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
    ['hungry5', 'LimitReached', /memory/],
    ['bomb', 'LimitReached', /processes/],
    ['filler', 'ProgramFailed', /filler ended with/],
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

  it('leaves nothing running, wherever its children went', async () => {
    const { tail } = await run({ program: 'runaway' });
    const mark = `AATS_RUN=${String(tail).trim()}`;
    const left = readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark);
      } catch {
        return false; // it ended meanwhile
      }
    });
    expect(mark).toMatch(/^AATS_RUN=[0-9a-f-]{36}$/);
    expect(left).toEqual([]);
  });

  it('leaves nothing running that hides, where there are process namespaces', async () => {
    await run({ program: 'hider' });
    const hiders = readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(hidersNap);
      } catch {
        return false; // it ended meanwhile
      }
    });
    for (const pid of hiders) process.kill(Number(pid), 'SIGKILL');
    expect(hiders).toHaveLength(mayIsolate ? 0 : 1);
  });

  it('runs it as another user when root is told to, in a folder that becomes that user’s', async () => {
    const user = 'nobody';
    chmodSync(desk.base, 0o711);
    const { folder, signal } = await desk.work();
    writeFileSync(join(folder, 'given'), '', { mode: 0o600 });
    const secret = join(desk.base, 'secret');
    writeFileSync(secret, 'hunter2', { mode: 0o600 });
    const script = `id -un; id -Gn; cat given; touch made; stat -c %U given made; grep NoNewPrivs /proc/self/status; cat ${secret}; kill -9 1`;
    const running = runProgram({
      program: '/bin/bash',
      arguments: ['-c', script],
      folder,
      environment: { PATH: '/usr/bin:/bin' },
      limits: { timeoutMs: 10_000, outputBytes: 1000, memoryBytes: 100e6, processes: 5, fileBytes: 1000 },
      owner: { user, folder },
      network: false,
      signal,
    });
    if (process.getuid?.() !== 0) return expect(running).rejects.toThrow('chown');
    const { stdout, stderr } = await running;
    expect(stdout.trim().split(/\s+/)).toEqual([user, 'nogroup', user, user, 'NoNewPrivs:', '1']);
    expect(stderr).toMatch(/secret: Permission denied[^]*Operation not permitted/);
  });

  it('begins nothing when it is cancelled while the folder changes hands', async () => {
    const stop = new AbortController();
    const { folder } = await desk.work();
    const user = process.getuid?.() === 0 ? 'nobody' : userInfo().username;
    const running = runProgram({
      program: '/usr/bin/touch',
      arguments: [join(desk.base, 'begun')],
      folder,
      environment: {},
      limits: { timeoutMs: 10_000, outputBytes: 1000, memoryBytes: 100e6, processes: 5, fileBytes: 1000 },
      owner: { user, folder },
      network: false,
      signal: stop.signal,
    });
    chmodSync(desk.base, 0o777);
    stop.abort(new Error('no longer wanted'));
    await expect(running).rejects.toThrow('no longer wanted');
    expect(existsSync(join(desk.base, 'begun'))).toBe(false);
  });

  it('has a loopback of its own, unless it may use the network', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const reach = code(
      `const net = require('net');
       const said = (to) => new Promise((done) => net.connect(to, '127.0.0.1', () => done('reached')).on('error', ({ code }) => done(code)));
       const own = net.createServer().listen(0, '127.0.0.1', async () => {
         console.log(await said(own.address().port), await said(${port}));
         process.exit();
       });`,
    ) as object;
    const both = allowedPrograms.parse({ kept: reach, let: { ...reach, network: true } });
    const tailOf = async (program: string): Promise<unknown> =>
      ((await commandCapability(both).run({ program }, await desk.work())) as { tail: string }).tail.trim();
    expect(await tailOf('let')).toBe('reached reached');
    expect(await tailOf('kept')).toBe(mayIsolate ? 'reached ECONNREFUSED' : 'reached reached');
    server.close();
  });

  it('lets a program end itself when it is told to, and says what ended it', async () => {
    const bash = async (script: string, timeoutMs: number): ReturnType<typeof runProgram> => {
      const { folder, signal } = await desk.work();
      return runProgram({
        program: '/bin/bash',
        arguments: ['-c', script],
        folder,
        environment: { PATH: '/usr/bin:/bin' },
        limits: { timeoutMs, outputBytes: 1000, memoryBytes: 100e6, processes: 5, fileBytes: 1000 },
        network: false,
        signal,
      });
    };
    expect(await bash('trap "echo tidied; exit" TERM; sleep 300 & wait', 3000)).toMatchObject({
      exitCode: null,
      endedBy: 'time',
      stdout: 'tidied\n',
    });
    expect(await bash('kill -SEGV $$', 10_000)).toMatchObject({ exitCode: 139 });
    expect(await bash('exit 7', 10_000)).toMatchObject({ exitCode: 7 });
  });
});
