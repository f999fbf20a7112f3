import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout } from 'node:timers/promises';
import pino from 'pino';
import { ListAgentsResponseSchema } from '../../proto/aats/communication/v1/communication_pb';
import { GetArtifactResponseSchema } from '../../proto/aats/data/v1/data_pb';
import {
  DecideResponseSchema,
  GetApprovalResponseSchema,
  GetPlanResponseSchema,
  ListApprovalsResponseSchema,
  ListPlansResponseSchema,
  StartPlanResponseSchema,
  ValidatePlanResponseSchema,
  WatchPlanResponseSchema,
} from '../../proto/aats/project/v1/project_pb';
import { createPlanHub } from '../../services/hitl/plan-hub';
import { addPages } from '../../services/hitl/routes/pages';
import { createPageSessions } from '../../services/hitl/sign-in/page-session';
import type { SessionStore, SignIn } from '../../services/hitl/sign-in/sign-in';
import type { Upstream } from '../../services/hitl/upstream';
import { ServiceFailure } from '../../services/runtime/failure-status';
import { createHealth } from '../../services/runtime/health';
import { createRestApp, startHttpsServer } from '../../services/runtime/http';
import { createIdentities } from '../../services/runtime/identity';
import { createMetrics } from '../../services/runtime/metrics';
import { failure } from '../../workflows/contracts/failures';
import { type Authority, createAuthority } from '../support/authority';
import { type Issuer, person, startIssuer } from '../support/issuer';

let authority: Authority;
let issuer: Issuer;
let server: Awaited<ReturnType<typeof startHttpsServer>>;
let refreshes = 0;
let decided: readonly { choice: string | undefined; digest: string | undefined; token: string | undefined }[] = [];
let refusal: Error | undefined;
let expiresIn = 1800;
let editable = false;
let startedPlans: readonly object[] = [];
let watchPlan: Upstream['plans']['watchPlan'] | undefined;
let getArtifact: Upstream['artifacts']['getArtifact'] | undefined;
/** Of readers that take nothing. */
const patienceMs = 1000;

const mara = person('mara', 'aats-operator', 'maintainers');
const approval = {
  approvalId: 'p1/apply/1',
  planId: 'p1',
  title: '<script>alert(1)</script>',
  status: 'open',
  by: ['group:maintainers'],
  requestedBy: 'jonas',
  waitingForYou: true,
};
const tokens = () => ({
  accessToken: issuer.token(mara),
  refreshToken: 'refresh',
  expiresIn,
  refreshExpiresIn: 28_800,
});

function memoryStore(): SessionStore {
  const kept = new Map<string, string>();
  const locks = new Set<string>();
  return {
    put: (id, value) => Promise.resolve(void kept.set(id, value)),
    get: (id) => Promise.resolve(kept.get(id) ?? null),
    delete: (id) => Promise.resolve(void kept.delete(id)),
    lock: (id) => Promise.resolve(!locks.has(id) && Boolean(locks.add(id))),
    unlock: (id) => Promise.resolve(void locks.delete(id)),
  };
}

const signIn: SignIn = {
  begin: (name, password) =>
    name === 'mara' && password === 'right'
      ? Promise.resolve({ challenge: 'c' })
      : Promise.reject(failure('Unauthenticated', 'name, password or code is wrong')),
  complete: () => Promise.resolve(tokens()),
  refresh: async () => {
    refreshes += 1;
    return new Promise((resolve) => {
      setImmediate(() => {
        expiresIn = 1800;
        resolve(tokens());
      });
    });
  },
  signOut: () => Promise.resolve(),
};

const none = (): Promise<never> => Promise.reject(new ServiceFailure('PlanNotFound', 'there is none'));
const request: MessageInitShape<typeof GetApprovalResponseSchema> = {
  approval,
  taskTitle: 'Apply',
  capability: 'echo',
  at: 'before',
  digest: 'sha256:1',
  subject: { a: 1 },
};
const upstream: Upstream = {
  plans: {
    getPlan: (asked) =>
      asked.planId === 'p1'
        ? Promise.resolve(create(GetPlanResponseSchema, { plan: { planId: 'p1', state: 'running', title: 'One' } }))
        : none(),
    listPlans: () => Promise.resolve(create(ListPlansResponseSchema)),
    getTask: none,
    watchPlan: (...asked) => {
      if (watchPlan) return watchPlan(...asked);
      throw new ServiceFailure('PlanNotFound', 'there is none');
    },
    validatePlan: () => Promise.resolve(create(ValidatePlanResponseSchema, { valid: true, taskCount: 1 })),
    startPlan: ({ planId, inputs }) => {
      startedPlans = [...startedPlans, { planId, inputs }];
      return Promise.resolve(create(StartPlanResponseSchema));
    },
    pausePlan: none,
    resumePlan: none,
    cancelPlan: none,
    retryTask: none,
  },
  approvals: {
    listApprovals: () => Promise.resolve(create(ListApprovalsResponseSchema, { approvals: [approval] })),
    getApproval: () =>
      Promise.resolve(
        create(GetApprovalResponseSchema, {
          ...request,
          ...(editable && { editable: [{ path: '/a', schema: { type: 'integer' } }] }),
        }),
      ),
    decide: ({ decision }, options) => {
      if (refusal) return Promise.reject(refusal);
      decided = [...decided, { choice: decision?.choice, digest: decision?.digest, token: options?.token }];
      return Promise.resolve(create(DecideResponseSchema));
    },
  },
  artifacts: {
    getArtifact: (...asked) => {
      if (getArtifact) return getArtifact(...asked);
      throw new ServiceFailure('ArtifactNotFound', 'there is none');
    },
  },
  agents: { listAgents: () => Promise.resolve(create(ListAgentsResponseSchema)), drainAgent: none },
};

beforeAll(async () => {
  authority = createAuthority();
  const tls = authority.issue();
  issuer = await startIssuer(tls);
  const logger = pino({ level: 'silent' });
  const { app, router } = createRestApp({
    identities: createIdentities({ jwksUrl: issuer.jwksUrl, ca: tls.ca }),
    logger,
    health: createHealth({}),
    metrics: createMetrics('page-test'),
  });
  addPages(
    router,
    {
      upstream,
      sessions: createPageSessions(memoryStore(), signIn),
      hub: createPlanHub(upstream),
      draining: new AbortController().signal,
      patienceMs,
      logger,
    },
    signIn,
  );
  server = await startHttpsServer({ tls, port: 0, app });
});
afterAll(async () => {
  await server.close(0);
  await issuer.close();
  authority.remove();
});
beforeEach(() => {
  decided = [];
  refusal = undefined;
  editable = false;
  startedPlans = [];
  [watchPlan, getArtifact] = [undefined, undefined];
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
  header(name: string): string;
}
const own = { 'sec-fetch-site': 'same-origin' };
function ask(
  path: string,
  options: { cookie?: string; form?: Record<string, string>; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const body = options.form && new URLSearchParams(options.form).toString();
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      {
        host: 'localhost',
        port: server.port,
        path,
        ca: authority.ca,
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          accept: 'text/html',
          ...(body !== undefined && { 'content-type': 'application/x-www-form-urlencoded', ...own }),
          ...(options.cookie !== undefined && { cookie: options.cookie }),
          ...options.headers,
        },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        response.on('end', () => {
          const { headers, statusCode = 0 } = response;
          resolve({ status: statusCode, text, headers, header: (name) => String(headers[name] ?? '') });
        });
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}
async function signedIn(): Promise<{ readonly cookie: string; readonly proof: string }> {
  const { header } = await ask('/sign-in/code', {
    form: { challenge: 'c', name: 'mara', code: '123456', next: '/inbox' },
  });
  const cookie = header('set-cookie').split(';')[0] ?? '';
  const { text } = await ask('/inbox', { cookie });
  return { cookie, proof: /name="proof" value="([^"]+)"/.exec(text)?.[1] ?? '' };
}

describe('the door', () => {
  it('gives a cookie that no script reads and that is sent to this host alone', async () => {
    const { status, header, text } = await ask('/sign-in/code', {
      form: { challenge: 'c', name: 'mara', code: '123 456', next: '/plans' },
    });
    expect([status, header('location')]).toEqual([303, '/plans']);
    expect(header('set-cookie')).toMatch(/^__Host-aats=[\w-]{43}; path=\/; .*secure; httponly/i);
    expect(header('set-cookie').toLowerCase()).toContain('samesite=strict');
    expect(text).not.toContain('eyJ');
  });

  it('says the same for a wrong name and a wrong password', async () => {
    const wrong = async (name: string): Promise<Answer> =>
      ask('/sign-in', { form: { name, password: 'wrong', next: '/' } });
    const [known, unknown] = [await wrong('mara'), await wrong('nobody')];
    expect([known.status, unknown.status]).toEqual([401, 401]);
    expect(known.text.replace('value="mara"', '')).toBe(unknown.text.replace('value="nobody"', ''));
  });

  it('leads back to a page of ours only', async () => {
    for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example'])
      expect(
        (await ask('/sign-in/code', { form: { challenge: 'c', name: 'mara', code: '123456', next } })).header(
          'location',
        ),
      ).toBe('/inbox');
  });

  it('refuses a form that another site sent', async () => {
    const answer = await ask('/sign-in', {
      form: { name: 'mara', password: 'right' },
      headers: { 'sec-fetch-site': 'cross-site' },
    });
    expect(answer.status).toBe(403);
  });
});

describe('a page of a person', () => {
  it('leads to the door without a session, and remembers the way', async () => {
    const { status, header } = await ask('/plans/p1?show=failed');
    expect([status, header('location')]).toEqual([303, '/sign-in?next=%2Fplans%2Fp1%3Fshow%3Dfailed']);
  });

  it('allows no inline script, no frame and no cache, and escapes what plans say', async () => {
    const { cookie } = await signedIn();
    const { text, header } = await ask('/inbox', { cookie });
    expect(header('content-security-policy')).toBe(
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(header('cache-control')).toBe('no-store');
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).not.toMatch(/<script>|style="|eyJ/);
  });

  it('answers only with the proof of this session, from this site', async () => {
    const { cookie, proof } = await signedIn();
    const form = { digest: 'sha256:1', decisionId: 'decision-1', choice: 'approve', reason: '' };
    expect((await ask('/approvals/p1/apply/1', { cookie, form })).status).toBe(403);
    expect((await ask('/approvals/p1/apply/1', { cookie, form: { ...form, proof: 'wrong' } })).status).toBe(403);
    const elsewhere = { cookie, form: { ...form, proof }, headers: { 'sec-fetch-site': 'same-site' } };
    expect((await ask('/approvals/p1/apply/1', elsewhere)).status).toBe(403);
    expect(decided).toEqual([]);
    const answer = await ask('/approvals/p1/apply/1', { cookie, form: { ...form, proof } });
    expect([answer.status, answer.header('location')]).toEqual([303, '/approvals/p1/apply/1?answered=1']);
    expect(decided).toMatchObject([
      { choice: 'approve', digest: 'sha256:1', token: expect.stringMatching(/^eyJ/) as string },
    ]);
  });

  it('does not send an answer to something else than what was seen', async () => {
    const { cookie, proof } = await signedIn();
    const answer = await ask('/approvals/p1/apply/1', {
      cookie,
      form: { proof, digest: 'sha256:0', decisionId: 'decision-2', choice: 'approve', reason: 'kept' },
    });
    expect(answer.status).toBe(409);
    expect(answer.text).toContain('This changed since you opened it. Your answer was not counted.');
    expect(answer.text).toContain('>kept</textarea>');
    expect(decided).toEqual([]);
  });

  it('asks for a reason before it rejects', async () => {
    const { cookie, proof } = await signedIn();
    const form = { proof, digest: 'sha256:1', decisionId: 'decision-3', choice: 'reject', reason: ' ' };
    const answer = await ask('/approvals/p1/apply/1', { cookie, form });
    expect(answer.status).toBe(422);
    expect(answer.text).toContain('Say why you reject it');
    expect(decided).toEqual([]);
  });

  it('says that an answer came too late', async () => {
    const { cookie, proof } = await signedIn();
    refusal = new ServiceFailure('ApprovalClosed', 'p1/apply/1 is approved by ana');
    const form = { proof, digest: 'sha256:1', decisionId: 'decision-4', choice: 'approve', reason: '' };
    const answer = await ask('/approvals/p1/apply/1', { cookie, form });
    expect([answer.status, answer.text.includes('this was answered before')]).toEqual([409, true]);
  });

  it('renews its token once for many requests at the same time', async () => {
    expiresIn = 30;
    const { header } = await ask('/sign-in/code', {
      form: { challenge: 'c', name: 'mara', code: '123456', next: '/' },
    });
    const cookie = header('set-cookie').split(';')[0] ?? '';
    refreshes = 0;
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask('/inbox', { cookie })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(refreshes).toBe(1);
  });

  it('says what an edit means before it is sent, when no script did', async () => {
    const { cookie, proof } = await signedIn();
    editable = true;
    const form = { proof, digest: 'sha256:1', decisionId: 'decision-5', choice: 'approve', reason: 'kept', e0: '2' };
    const told = await ask('/approvals/p1/apply/1', { cookie, form });
    expect([told.status, told.text.includes('You changed what was proposed. Nothing was sent yet.')]).toEqual([
      200,
      true,
    ]);
    expect(told.text).toContain('>kept</textarea>');
    expect(decided).toEqual([]);
    await ask('/approvals/p1/apply/1', { cookie, form: { ...form, told: '1' } });
    expect(decided).toHaveLength(1);
  });

  it('leads back to the request when the sign-in had ended, and says that nothing was counted', async () => {
    const { header } = await ask('/approvals/p1/apply/1', { form: { choice: 'approve' } });
    expect(header('location')).toBe('/sign-in?next=%2Fapprovals%2Fp1%2Fapply%2F1&late=1');
    expect((await ask(header('location'))).text).toContain('nothing that you sent was counted');
  });

  it('ends the earlier session when somebody signs in again', async () => {
    const { cookie } = await signedIn();
    await ask('/sign-in/code', { cookie, form: { challenge: 'c', name: 'mara', code: '123456', next: '/' } });
    expect((await ask('/inbox', { cookie })).status).toBe(303);
  });

  it('keeps colours and keys in cookies that the page may read', async () => {
    const { cookie, proof } = await signedIn();
    const { headers } = await ask('/settings', { cookie, form: { proof, theme: 'dark' } });
    expect(headers['set-cookie']).toEqual([
      expect.stringMatching(/^aats-theme=dark; .*secure/i),
      expect.stringMatching(/^aats-keys=off; .*secure/i),
    ]);
    expect((await ask('/settings', { cookie: `${cookie}; aats-theme=dark` })).text).toContain('data-theme="dark"');
  });

  it('makes a form of a plan and starts nothing before it is asked to', async () => {
    const { cookie, proof } = await signedIn();
    const plan =
      'name: hello\ninputs:\n  count: { type: integer, default: 3 }\ntasks:\n  - id: greet\n    capability: echo\n';
    const read = await ask('/start', { cookie, form: { proof, plan, do: 'read' } });
    expect(read.text).toMatch(/<input type="text" inputmode="decimal" id="i-count" name="i.count"[^>]* value="3"/);
    const wrong = await ask('/start', {
      cookie,
      form: { proof, plan, do: 'start', planId: 'hello-1', 'i.count': 'x' },
    });
    expect([wrong.status, wrong.text.includes('this is not a number')]).toEqual([422, true]);
    expect(startedPlans).toEqual([]);
    const started = await ask('/start', {
      cookie,
      form: { proof, plan, do: 'start', planId: 'hello-1', 'i.count': '4' },
    });
    expect([started.status, started.header('location')]).toEqual([303, '/plans/hello-1?done=start']);
    expect(startedPlans).toEqual([{ planId: 'hello-1', inputs: { count: 4 } }]);
  });

  it('ends with the session', async () => {
    const { cookie, proof } = await signedIn();
    expect((await ask('/sign-out', { cookie, form: { proof } })).header('location')).toBe('/sign-in?out=1');
    expect((await ask('/inbox', { cookie })).status).toBe(303);
  });

  it('says what is not there, to people in words and to programs as a problem', async () => {
    const { cookie } = await signedIn();
    const missing = await ask('/plans/p2', { cookie });
    expect([missing.status, missing.text.includes('There is no such plan')]).toEqual([404, true]);
    expect((await ask('/nowhere', { cookie })).text).toContain('There is nothing at this address');
    expect((await ask('/nowhere', { headers: { accept: 'application/json' } })).header('content-type')).toContain(
      'problem+json',
    );
  });
});

describe('a reader that takes nothing', () => {
  const mebibyte = 1024 * 1024;
  /** Begins an answer and reads nothing of it; gives its status once `cutOff` has come. */
  const stall = async (path: string, cookie: string, cutOff: Promise<void>): Promise<number | undefined> => {
    const to = { host: 'localhost', port: server.port, path, ca: authority.ca, agent: false, headers: { cookie } };
    const call = httpsRequest(to).end();
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    await cutOff;
    call.destroy();
    return response.statusCode;
  };

  it('of a document is cut off', async () => {
    const { cookie } = await signedIn();
    const cutOff = new Promise<void>((resolve) => {
      getArtifact = async function* () {
        try {
          for (;;) yield await Promise.resolve(create(GetArtifactResponseSchema, { chunk: Buffer.alloc(mebibyte) }));
        } finally {
          resolve();
        }
      };
    });
    expect(await stall(`/artifacts/${'0'.repeat(64)}/name.txt`, cookie, cutOff)).toBe(200);
  });

  it('of a live page is cut off', async () => {
    const { cookie } = await signedIn();
    const cutOff = new Promise<void>((resolve) => {
      watchPlan = async function* (_request, { signal } = {}) {
        for (let n = 0; signal?.aborted !== true; n++) {
          const plan = { planId: 'p1', state: 'running' };
          const tasks = [{ id: 'a', title: String(n % 10).repeat(mebibyte), state: 'running', capability: 'echo' }];
          yield create(WatchPlanResponseSchema, { event: { case: 'snapshot', value: { plan, tasks } } });
          await setTimeout(50);
        }
        resolve();
      };
    });
    expect(await stall('/plans/p1/events', cookie, cutOff)).toBe(200);
  });
});
