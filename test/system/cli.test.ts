import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demoAgents } from '../../stack/app';
import { packageRoot } from '../../stack/package-root';
import { startSystem, type System, until } from '../support/system';

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
interface Options {
  readonly as?: 'jonas' | 'mara';
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const folder = mkdtempSync(join(tmpdir(), 'aats-cli-'));
const sessionOf = (name: string): string => join(folder, `${name}.json`);
const file = (name: string, content: object | string): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const newId = (name: string): string => `cli-${name}-${Date.now().toString(36)}`;
const lines = (text: string): readonly unknown[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

let system: System;
const main = join(packageRoot, 'dist', 'cli', 'main.js');
const environment = ({ as = 'jonas', env }: Options): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: folder,
  AATS_STACK_FILE: join(system.stack.dataDir, 'run', 'stack.json'),
  AATS_SESSION_FILE: sessionOf(as),
  ...env,
});
interface Running {
  readonly child: ChildProcess;
  /** What it has said so far. */
  said(): Omit<Said, 'code'>;
  readonly end: Promise<Said>;
}
function run(command: string, args: readonly string[], options: Options): Running {
  const child = spawn(command, args, { env: environment(options) });
  let [out, err] = ['', ''];
  child.stdout.on('data', (part: Buffer) => (out += part.toString()));
  child.stderr.on('data', (part: Buffer) => (err += part.toString()));
  const end = new Promise<Said>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, out, err });
    });
  });
  return { child, said: () => ({ out, err }), end };
}
/** The command as people run it, with the environment that the local stack gives them. */
const started = (args: readonly string[], options: Options = {}): Running =>
  run(process.execPath, [main, ...args], options);
const aats = (args: readonly string[], options: Options = {}): Promise<Said> => {
  const { child, end } = started(args, options);
  child.stdin?.end(options.input);
  return end;
};
/** The same in a terminal of 80 columns and 40 rows. */
const inTerminal = (args: readonly string[], options: Options = {}): Running =>
  run('script', ['-qefc', `stty cols 80 rows 40; exec ${process.execPath} ${main} ${args.join(' ')}`, '/dev/null'], {
    ...options,
    env: { TERM: 'xterm', SHELL: '/bin/sh', ...options.env },
  });
const untilSaid = (running: Running, words: string | RegExp): Promise<unknown> =>
  until(
    () => Promise.resolve(running.said()),
    ({ out, err }) => (out + err).search(words) >= 0,
    30,
  );
/** One more agent of a shipped kind; gives its id. */
function startSpareAgent(): string {
  const [helper] = demoAgents.filter(({ name }) => name === 'helper');
  if (!helper) throw new Error('there is no helper');
  const name = newId('spare');
  const [script, ...args] = helper.command;
  system.startAgent({
    ...helper,
    name,
    command: [script, ...args.map((one) => (one === 'helper' ? name : one))],
  });
  return name;
}
const login = async (as: 'jonas' | 'mara'): Promise<void> => {
  const person = system.people[as];
  const code = person.code();
  const once = (): Promise<Said> =>
    aats(['login', as, '--password-stdin', '--code', person.code()], { as, input: `${person.password}\n` });
  let said = await once();
  // A code counts once, and a test before this one may have used it.
  if (said.err.includes('used before')) {
    await until(
      () => Promise.resolve(person.code()),
      (next) => next !== code,
      35,
    );
    said = await once();
  }
  expect(said).toMatchObject({ code: 0, out: `✓ Signed in as ${as}\n` });
};

beforeAll(async () => {
  system = await startSystem();
}, 120_000);
afterAll(async () => {
  await system.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

describe('aats', () => {
  const hello = { name: 'hello', tasks: [{ id: 'greet', title: 'Greet', capability: 'echo', with: { text: 'hi' } }] };
  const stuck = { name: 'stuck', tasks: [{ id: 'wait', capability: 'nobody-offers-this' }] };

  it('asks to sign in, signs in with both factors, and keeps the session closed to others', async () => {
    expect(await aats(['plan', 'list'])).toMatchObject({
      code: 3,
      err: expect.stringContaining('aats login') as string,
    });
    expect(await aats(['login', 'jonas', '--password-stdin', '--code', '000000'], { input: 'wrong\n' })).toMatchObject({
      code: 3,
      out: '',
    });
    await login('jonas');
    await login('mara');
    expect(statSync(sessionOf('jonas')).mode & 0o777).toBe(0o600);
    expect(await aats(['plan', 'list', '--limit', '1'])).toMatchObject({ code: 0 });
  }, 240_000);

  it('lists every problem of a plan with its line', async () => {
    const wrong = file(
      'wrong.yaml',
      'name: wrong\ntasks:\n  - id: a\n    capability: echo\n    needs: [b]\n    colour: red\n',
    );
    const said = await aats(['plan', 'validate', wrong]);
    expect(said.code).toBe(2);
    expect(said.err).toMatch(/wrong\.yaml:5 .*UNKNOWN_TASK/);
    expect(said.err).toMatch(/wrong\.yaml:6 .*UNKNOWN_FIELD/);
    expect(said.err).toContain('wrong.yaml cannot start: two things are wrong.');
    const right = await aats(['plan', 'validate', file('hello.json', hello)]);
    expect(right).toMatchObject({ code: 0, err: '' });
    expect(right.out).toContain('✓ hello can start: 1 task in 1 layer');
    const [answer] = lines((await aats(['plan', 'validate', wrong, '--json'])).out);
    expect(answer).toMatchObject({ valid: false, problems: [{ code: 'UNKNOWN_TASK', line: 5 }, { line: 6 }] });
  }, 240_000);

  it('starts a plan, watches it to its end, and shows it and its task', async () => {
    const id = newId('hello');
    const path = file('hello.json', hello);
    const started = await aats(['plan', 'start', path, '--id', id, '--watch']);
    expect(started).toMatchObject({ code: 0 });
    expect(started.out).toContain(`✓ ${id} is started`);
    expect(started.out).toMatch(/succeeded/);
    expect((await aats(['plan', 'start', path, '--id', id])).out).toContain('was started before');
    expect(await aats(['plan', 'start', file('stuck.json', stuck), '--id', id])).toMatchObject({ code: 5 });
    expect((await aats(['plan', 'get', id])).out).toMatch(/Greet/);
    expect((await aats(['plan', 'get', id, '--task', 'greet'])).out).toMatch(/output\n.*"text": "hi"/s);
    expect(lines((await aats(['plan', 'get', id, '--json'])).out)).toMatchObject([
      { plan: { planId: id, state: 'succeeded' }, tasks: [{ id: 'greet', state: 'succeeded' }] },
    ]);
    expect((await aats(['plan', 'list', '--name', 'hello', '--state', 'succeeded'])).out).toContain(id);
    expect(await aats(['plan', 'get', 'no-such-plan'])).toMatchObject({ code: 4 });
    const events = lines((await aats(['plan', 'watch', id, '--json'])).out);
    expect(events).toMatchObject([{ snapshot: { plan: { state: 'succeeded' } } }]);
  }, 240_000);

  it('pauses, resumes, cancels and retries, and ends a watch of a plan that failed with its own code', async () => {
    const id = newId('steer');
    await aats(['plan', 'start', file('stuck.json', stuck), '--id', id]);
    expect((await aats(['plan', 'pause', id, '--reason', 'lunch'])).out).toContain('paused');
    expect((await aats(['plan', 'resume', id])).out).toContain('running');
    expect(await aats(['plan', 'retry', id, 'wait'])).toMatchObject({ code: 5 });
    expect(await aats(['plan', 'cancel', id, '--reason', 'enough'])).toMatchObject({ code: 0 });
    expect(await aats(['plan', 'watch', id])).toMatchObject({ code: 7 });
    expect(await aats(['plan', 'retry', id, 'wait'])).toMatchObject({ code: 5 });

    const failing = newId('failing');
    const refused = { name: 'refused', tasks: [{ id: 'run', capability: 'command', with: { program: 'no-such' } }] };
    expect(await aats(['plan', 'start', file('refused.json', refused), '--id', failing, '--watch'])).toMatchObject({
      code: 7,
    });
    expect((await aats(['plan', 'retry', failing, 'run'])).out).toContain('running');
    expect(await aats(['plan', 'watch', failing])).toMatchObject({ code: 7 });
  }, 240_000);

  it('shows what waits for a person, and answers once, with a change', async () => {
    const id = newId('gate');
    const gated = {
      name: 'gated',
      tasks: [
        {
          id: 'greet',
          capability: 'echo',
          with: { text: 'hi' },
          approval: {
            title: 'Say hi?',
            by: ['role:aats-operator'],
            expiresIn: '1h',
            editable: [{ path: '/text', schema: { type: 'string' } }],
          },
        },
      ],
      result: '${{ tasks.greet.output }}',
    };
    expect(await aats(['plan', 'start', file('gated.json', gated), '--id', id])).toMatchObject({ code: 0 });
    const approval = `${id}/greet/1`;
    const mara = { as: 'mara' } as const;
    const inbox = async (): Promise<string> => (await aats(['approval', 'list', '--mine'], mara)).out;
    await until(inbox, (text) => text.includes(approval), 20);
    expect(await inbox()).toMatch(new RegExp(`◆ ${approval} +59 m \\d\\d s left +Say hi\\?`));
    const shown = (await aats(['approval', 'show', approval], mara)).out;
    expect(shown).toContain('◆ Waiting for you · expires in');
    expect(shown).toContain('text  hi');
    expect(shown).toContain('– jonas started the plan, so may not answer');
    // Nobody is at the terminal to confirm it, and another request was seen.
    expect(await aats(['approval', 'decide', approval, '--approve'], mara)).toMatchObject({ code: 2 });
    const other = ['--digest', `sha256:${'0'.repeat(64)}`, '--approve', '--yes'];
    expect(await aats(['approval', 'decide', approval, ...other], mara)).toMatchObject({ code: 6 });
    // The starter may not answer, and nobody without a reason says no.
    expect(await aats(['approval', 'decide', approval, '--approve', '--yes'])).toMatchObject({ code: 3 });
    expect(await aats(['approval', 'decide', approval, '--reject', '--yes'], mara)).toMatchObject({ code: 2 });
    const decided = await aats(['approval', 'decide', approval, '--set', '/text="hello"', '--yes'], mara);
    expect(decided).toMatchObject({ code: 0 });
    expect(decided.out).toContain('✓ Your answer counted, approved: the plan goes on.');
    expect(await aats(['approval', 'decide', approval, '--approve', '--yes'], mara)).toMatchObject({ code: 6 });
    expect(await aats(['plan', 'watch', id])).toMatchObject({ code: 0 });
    expect((await aats(['plan', 'get', id])).out).toContain('"text": "hello"');
    expect(lines((await aats(['approval', 'list', '--done', '--plan', id, '--json'], mara)).out)).toMatchObject([
      { approvalId: approval, status: 'approved' },
    ]);
    expect(lines((await aats(['approval', 'show', approval, '--json'], mara)).out)).toMatchObject([
      { outcome: { decidedBy: 'mara', surface: 'cli' } },
    ]);
  }, 240_000);

  it('stores a file with an input and gives it back, its digest checked', async () => {
    const id = newId('file');
    const content = `A document of ${id}\n`;
    const plan = {
      name: 'with-file',
      inputs: { doc: { type: 'object' } },
      tasks: [{ id: 'pass', capability: 'echo', with: { doc: '${{ inputs.doc }}' } }],
    };
    const path = file('with-file.json', plan);
    const doc = file('doc.txt', content);
    expect(await aats(['plan', 'start', path, '--id', id, '-i', `doc=@${doc}`, '--watch'])).toMatchObject({ code: 0 });
    const [answer] = lines((await aats(['plan', 'get', id, '--task', 'pass', '--json'])).out) as {
      readonly output: { readonly doc: { readonly artifact: string } };
    }[];
    const { artifact = '' } = answer?.output.doc ?? {};
    expect(await aats(['artifact', 'get', artifact])).toMatchObject({ code: 0, out: content });
    expect(lines((await aats(['artifact', 'get', artifact, '--json'])).out)).toEqual([
      { artifact, size: content.length, base64: Buffer.from(content).toString('base64') },
    ]);
    await aats(['artifact', 'get', artifact, '-o', join(folder, 'back.txt')]);
    expect(readFileSync(join(folder, 'back.txt'), 'utf8')).toBe(content);
    expect(await aats(['artifact', 'get', `sha256:${'0'.repeat(64)}`])).toMatchObject({ code: 4, out: '' });
  }, 240_000);

  it('lists agents and drains one', async () => {
    // Its own: the shipped ones are needed by whoever comes next.
    const spare = startSpareAgent();
    await until(
      () => aats(['agent', 'list', '--capability', 'echo', '--json']),
      ({ out }) => out.includes(spare),
      20,
    );
    const { out } = await aats(['agent', 'list']);
    expect(out).toMatch(/helper +✓ ready +0 of 16 .*echo/);
    expect((await aats(['agent', 'drain', spare])).out).toBe(`✓ ${spare} takes nothing new\n`);
    const [drained] = lines((await aats(['agent', 'list', '--capability', 'echo', '--json'])).out)
      .map((one) => one as { readonly agentId: string; readonly state: string })
      .filter(({ agentId }) => agentId === spare);
    expect(drained).toMatchObject({ state: 'draining', transport: 'kafka' });
    expect(await aats(['agent', 'drain', 'nobody'])).toMatchObject({ code: 4 });
  }, 240_000);

  it('draws the live plan, takes keys, and gives the terminal back as it was', async () => {
    const id = newId('live');
    await aats(['plan', 'start', file('stuck.json', stuck), '--id', id]);
    const watch = inTerminal(['plan', 'watch', id]);
    await untilSaid(watch, 'q leave, the plan goes on');
    const { out: drawn } = watch.said();
    expect(drawn).toContain(`\u001b[1mstuck\u001b[0m  \u001b[90m${id}\u001b[0m`);
    expect(drawn).toContain('● live');
    expect(drawn).toMatch(/► running.*0 of 1 task/);
    watch.child.stdin?.write('p');
    await untilSaid(watch, /‖ paused/);
    watch.child.stdin?.write('o');
    await untilSaid(watch, `The page: ${system.pageUrl}/plans/${id}`);
    watch.child.stdin?.write('q');
    const { code, out } = await watch.end;
    expect(code).toBe(0);
    expect(out).toContain('\u001b[?7h\u001b[?25h\u001b[?1049l');
    expect(out).toContain(`The plan goes on. Watch it again: aats plan watch ${id}`);

    const plain = inTerminal(['plan', 'watch', id, '--plain']);
    await untilSaid(plain, 'p resume');
    plain.child.stdin?.write('\u0003');
    const interrupted = await plain.end;
    expect(interrupted.code).toBe(130);
    expect(interrupted.out).not.toMatch(/\u001b\[\d+m/);
    expect(interrupted.out).toContain('\u001b[?7h\u001b[?25h\u001b[?1049l');
    await aats(['plan', 'cancel', id]);
  }, 240_000);

  it('goes on watching over a restart of the service, and says so', async () => {
    const id = newId('restart');
    await aats(['plan', 'start', file('stuck.json', stuck), '--id', id]);
    const watch = started(['plan', 'watch', id]);
    await untilSaid(watch, `${id} running`);
    await system.supervisor.kill('project-manager');
    await untilSaid(watch, /not live since .*; trying again/);
    await untilSaid(watch, 'live again');
    expect(await aats(['plan', 'cancel', id])).toMatchObject({ code: 0 });
    expect(await watch.end).toMatchObject({ code: 7, out: expect.stringContaining(`⊘ ${id} cancelled`) as string });
  }, 240_000);

  it('says what does not answer, what it does not know, and what it can', async () => {
    const away = await aats(['plan', 'list'], { env: { AATS_PROJECT_MANAGER_ADDRESS: 'localhost:1' } });
    expect(away).toMatchObject({ code: 8, out: '' });
    expect(away.err).toMatch(/does not answer.*127\.0\.0\.1:1.*npm start/s);
    expect(JSON.parse((await aats(['plan', 'get', 'no-such-plan', '--json'])).err)).toMatchObject({ exitCode: 4 });
    expect(await aats(['plan', 'strat'])).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('Did you mean start?') as string,
    });
    expect(JSON.parse((await aats(['plan', 'strat', '--json'])).err)).toMatchObject({ exitCode: 2 });
    const inputs = await aats(['plan', 'start', 'no-such.yaml', '-i', 'a=@nothing', '-i', 'b']);
    expect(inputs).toMatchObject({ code: 2, out: '' });
    expect(inputs.err).toMatch(/■ Not started: .*no-such\.yaml/s);
    expect((await aats(['--help'])).out).toContain('Exit codes: 0 done');
    const [codes] = lines((await aats(['demo', 'codes', '--json'])).out);
    expect(codes).toMatchObject({ name: 'mara', code: expect.stringMatching(/^\d{6}$/) as string });
    for (const shell of ['bash', 'zsh', 'fish']) expect((await aats(['completion', shell])).out).toContain('approval');
    expect(await aats(['logout'])).toMatchObject({ code: 0 });
    expect(await aats(['plan', 'list'])).toMatchObject({ code: 3 });
  }, 240_000);
});
