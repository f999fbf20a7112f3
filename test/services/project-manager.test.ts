import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { PlanSchema } from '../../proto/aats/project/v1/plan_pb';
import {
  PlanSourceSchema,
  ProjectManager,
  StartPlanRequestSchema,
  type WatchPlanResponse,
} from '../../proto/aats/project/v1/project_pb';
import type { GrpcClient } from '../../services/runtime/grpc-client';
import type { TaskDispatch, TaskReport } from '../../workflows/contracts/messages';
import { planWorkflowId } from '../../workflows/contracts/plan';
import { person } from '../support/issuer';
import { createConformance } from '../support/openapi';
import { eventually, type ProjectManagerBench, startProjectManagerBench, tlsOf } from '../support/project-manager';
import { failed, started, succeeded } from '../support/temporal';

const petra = person('pm-petra', 'aats-admin');
/** Somebody whom plans may ask. */
const omar = person('pm-omar', 'aats-operator');
const newId = (): string => `pm-${randomUUID().slice(0, 8)}`;
const hello = (tasks = 2): string =>
  JSON.stringify({
    name: 'hello',
    inputs: { who: { type: 'string', default: 'world' } },
    tasks: Array.from({ length: tasks }, (_, at) => ({
      id: `t${at}`,
      capability: 'echo',
      with: { text: 'hello ${{ inputs.who }}' },
      ...(at > 0 && { needs: [`t${at - 1}`] }),
    })),
  });
const held = JSON.stringify({ name: 'held', tasks: [{ id: 'wait', capability: 'hold', retry: { maxAttempts: 1 } }] });
const document = (text: string) => ({ source: { case: 'document' as const, value: text } });
const ofEvent = ({ event }: WatchPlanResponse): string =>
  event.case === 'snapshot'
    ? `snapshot ${event.value.plan?.cursor ?? ''}`
    : event.case === 'change'
      ? `change ${event.value.cursor}`
      : (event.case ?? '');

describe('project manager', () => {
  let bench: ProjectManagerBench;
  let plans: GrpcClient<typeof ProjectManager>;
  const waiting = new Map<string, TaskDispatch>();

  beforeAll(async () => {
    bench = await startProjectManagerBench(
      (dispatch) => {
        if (dispatch.capability === 'echo') return [started(dispatch), succeeded(dispatch, dispatch.arguments)];
        waiting.set(dispatch.planId, dispatch);
        return started(dispatch);
      },
      [petra, omar],
    );
    plans = bench.client(ProjectManager, { token: bench.issuer.token(petra) });
  }, 90_000);
  afterAll(() => bench.close());

  /** Lets the agent that holds the plan's task end it. */
  const release = async (planId: string, report: (dispatch: TaskDispatch) => TaskReport = succeeded): Promise<void> => {
    const dispatch = await eventually(() => Promise.resolve(waiting.get(planId)), Boolean);
    waiting.delete(planId);
    if (dispatch) await bench.worker.deliver(planId, [report(dispatch)]);
  };
  const ended = (planId: string) =>
    eventually(
      () => plans.getPlan({ planId }),
      ({ plan }) => ['succeeded', 'failed', 'cancelled'].includes(plan?.state ?? ''),
    );

  it('starts a plan once, however often it is asked', async () => {
    const planId = newId();
    const request = { planId, plan: document(hello()), inputs: { who: 'you' } };
    expect(await plans.startPlan(request)).toMatchObject({ created: true, plan: { planId, owner: 'pm-petra' } });
    expect(await plans.startPlan(request)).toMatchObject({ created: false, plan: { planId } });
    await ended(planId);
    expect(await plans.startPlan(request)).toMatchObject({ created: false, plan: { state: 'succeeded' } });
    await expect(plans.startPlan({ ...request, inputs: { who: 'me' } })).rejects.toMatchObject({ type: 'PlanExists' });
  });

  it('takes a plan as a message as well as a text, and both are the same plan', async () => {
    const planId = newId();
    const plan = create(PlanSchema, { name: 'hello', tasks: [{ id: 'greet', capability: 'echo' }] });
    await plans.startPlan({ planId, plan: { source: { case: 'plan', value: plan } } });
    const text = 'name: hello\ntasks:\n  - id: greet\n    capability: echo\n';
    expect(await plans.startPlan({ planId, plan: document(text) })).toMatchObject({ created: false });
  });

  it('refuses a wrong plan with every problem, over gRPC and REST', async () => {
    const text = 'name: Wrong\ntasks:\n  - id: a\n    capability: echo\n    needs: [b]\n    colour: red\n';
    const codes = ['BAD_VALUE', 'UNKNOWN_FIELD', 'UNKNOWN_TASK'];
    const { valid, problems } = await plans.validatePlan({ plan: document(text) });
    expect(valid).toBe(false);
    expect(problems.map(({ code }) => code).sort()).toEqual(codes);
    expect(problems.find(({ code }) => code === 'UNKNOWN_FIELD')).toMatchObject({
      pointer: '/tasks/0/colour',
      line: 6,
    });
    const refusal: unknown = await plans.startPlan({ planId: newId(), plan: document(text) }).catch((e: unknown) => e);
    expect(refusal).toMatchObject({ type: 'PlanInvalid', message: 'the plan has 3 problems' });
    const body = { planId: newId(), plan: { document: text } };
    const answer = await bench.rest('POST', '/v1/plans', { body });
    expect(answer).toMatchObject({ status: 400, type: 'application/problem+json' });
    expect((answer.json['problems'] as { code: string }[]).map(({ code }) => code).sort()).toEqual(codes);
  });

  it('reads a plan that comes as an object of JSON like its text', async () => {
    const plan = { name: 'Wrong', tasks: [{ id: 'a', capability: 'echo', needs: ['b'], colour: 'red' }] };
    const validated = await bench.rest('POST', '/v1/plans/validate', { body: { plan: { plan } } });
    expect(validated).toMatchObject({ status: 200, json: { valid: false } });
    const codes = (validated.json['problems'] as { code: string }[]).map(({ code }) => code).sort();
    expect(codes).toEqual(['BAD_VALUE', 'UNKNOWN_FIELD', 'UNKNOWN_TASK']);
    const planId = newId();
    const right = { name: 'hello', tasks: [{ id: 'greet', capability: 'echo' }] };
    await bench.rest('POST', '/v1/plans', { body: { planId, plan: { plan: right } } });
    const text = document('name: hello\ntasks:\n  - id: greet\n    capability: echo\n');
    expect(await plans.startPlan({ planId, plan: text })).toMatchObject({ created: false });
  });

  it('starts a plan of 10,000 tasks that its author gives in less than 1 MiB, over gRPC and REST', async () => {
    const tasks = Array.from({ length: 10_000 }, (_, at) => ({
      id: `t${at}`,
      capability: 'nobody-offers-this',
      ...(at >= 100 && { needs: [`t${at - 100}`] }),
    }));
    const text = JSON.stringify({ name: 'many', tasks });
    // That such a plan runs to its end is shown in large-plan.test.ts.
    const end = (id: string) => bench.env.client.workflow.getHandle(planWorkflowId(id)).terminate();
    const planId = newId();
    expect(await plans.startPlan({ planId, plan: document(text) })).toMatchObject({ created: true });
    await end(planId);
    const body = { planId: newId(), plan: { document: text } };
    expect(await bench.rest('POST', '/v1/plans', { body })).toMatchObject({ status: 200, json: { created: true } });
    await end(body.planId);
  }, 120_000);

  it('says how large a plan is that is too large, when it is validated and when it is started', async () => {
    const text = 'x'.repeat(30_000);
    const tasks = Array.from({ length: 36 }, (_, at) => ({ id: `t${at}`, capability: 'echo', with: { text } }));
    const message = /has 108\d{4} bytes as JSON, more than 1048576/;
    const problem = { code: 'TOO_LARGE', message: expect.stringMatching(message) as string };
    const plan = create(PlanSchema, { name: 'large', tasks });
    const source = { source: { case: 'plan' as const, value: plan } };
    expect(await plans.validatePlan({ plan: source })).toMatchObject({ valid: false, problems: [problem] });
    const refusal: unknown = await plans.startPlan({ planId: newId(), plan: source }).catch((e: unknown) => e);
    expect(refusal).toMatchObject({ type: 'TooLarge', details: [problem] });
    const inputs = { who: 'x'.repeat(1_048_576) };
    const together = await plans.validatePlan({ plan: document(hello()), inputs });
    expect(together).toMatchObject({ valid: false, problems: [{ code: 'TOO_LARGE' }] });
  });

  it('lists everything that does not fit a request', async () => {
    const body = { planId: 5, colour: 'red', plan: { document: {} }, inputs: [] };
    const answer = await bench.rest('POST', '/v1/plans', { body });
    expect(answer).toMatchObject({ status: 400, type: 'application/problem+json' });
    expect((answer.json['problems'] as { pointer: string }[]).map(({ pointer }) => pointer).sort()).toEqual([
      '/colour',
      '/inputs',
      '/plan/document',
      '/planId',
    ]);
    const query = await bench.rest('GET', '/v1/plans?colour=red&pageSize=many&states=asleep');
    expect((query.json['problems'] as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual([
      '/colour',
      '/pageSize',
    ]);
    expect((await bench.rest('GET', '/v1/plans?states=asleep')).json).toMatchObject({
      status: 400,
      problems: [{ pointer: '/states' }],
    });
    const list = await bench.rest('GET', '/v1/plans?states=asleep&owner=a%20b&name=%27&pageSize=-1&pageToken=no');
    expect((list.json['problems'] as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual(
      ['states', 'owner', 'name', 'pageSize', 'pageToken'].map((field) => `/${field}`),
    );
    const both = { planId: 'No Id', plan: { document: hello().replace('{', '{"colour":"red",') } };
    expect((await bench.rest('POST', '/v1/plans', { body: both })).json).toMatchObject({
      type: 'urn:aats:failure:PlanInvalid',
      problems: [{ pointer: '/planId' }, { code: 'UNKNOWN_FIELD', pointer: '/colour' }],
    });
    await expect(plans.getPlan({ planId: newId(), taskOffset: -1, taskLimit: -1 })).rejects.toMatchObject({
      type: 'InvalidInput',
      details: [{ pointer: '/taskOffset' }, { pointer: '/taskLimit' }],
    });
    for (const levels of [1000, 20_000]) {
      const endless = `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
      const ofText = await bench.rest('POST', '/v1/plans', { body: { planId: 'deep', plan: { document: endless } } });
      const ofObject = await bench.rest('POST', '/v1/plans', { text: `{"planId":"deep","plan":{"plan":${endless}}}` });
      expect([ofText.status, ofObject.status]).toEqual([413, 413]);
    }
    const nested = `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`;
    const deep = { planId: newId(), plan: { document: hello() }, inputs: JSON.parse(nested) as object };
    expect((await bench.rest('POST', '/v1/plans', { body: deep })).status).toBe(400);
  });

  it('says what a plan is made of, and warns of capabilities that no agent offers', async () => {
    const text = `name: gated
tasks:
  - { id: a, capability: echo }
  - { id: b, capability: ecco, needs: [a], approval: { title: Go?, by: ["role:aats-operator"], expiresIn: 1h } }
`;
    const answer = await plans.validatePlan({ plan: document(text) });
    expect(answer).toMatchObject({ valid: true, taskCount: 2, criticalPath: ['a', 'b'] });
    expect(answer.layers.map(({ taskIds }) => taskIds)).toEqual([['a'], ['b']]);
    expect(answer.gates).toMatchObject([{ taskId: 'b', at: 'before', by: ['role:aats-operator'] }]);
    expect(answer.problems).toContainEqual(
      expect.objectContaining({ severity: 'warning', code: 'UNKNOWN_CAPABILITY' }),
    );
  });

  it('refuses wrong inputs, wrong ids and what is too large', async () => {
    const plan = document(hello());
    await expect(plans.startPlan({ planId: newId(), plan, inputs: { who: 1, whom: 'x' } })).rejects.toMatchObject({
      type: 'InvalidInput',
      details: [{ code: 'SCHEMA_MISMATCH' }, { code: 'UNKNOWN_FIELD' }],
    });
    await expect(plans.startPlan({ planId: 'Not/an id', plan })).rejects.toMatchObject({ type: 'InvalidInput' });
    await expect(plans.startPlan({ planId: newId() })).rejects.toMatchObject({ type: 'InvalidInput' });
    const large = document(`${hello()}\n#${'x'.repeat(1024 * 1024)}`);
    await expect(plans.startPlan({ planId: newId(), plan: large })).rejects.toMatchObject({ type: 'TooLarge' });
    const inputs = { who: 'x'.repeat(1024 * 1024) };
    await expect(plans.startPlan({ planId: newId(), plan, inputs })).rejects.toMatchObject({ type: 'TooLarge' });
  });

  it('refuses a message with a field that it does not know, wherever it is', async () => {
    const $unknown = [{ no: 99, wireType: 0, data: new Uint8Array([1]) }];
    const plan = create(PlanSchema, { name: 'hello', tasks: [{ id: 'greet', capability: 'echo' }] });
    for (const task of plan.tasks) task.$unknown = $unknown;
    const source = create(PlanSourceSchema, { source: { case: 'plan', value: plan } });
    await expect(plans.startPlan({ planId: newId(), plan: source })).rejects.toMatchObject({ type: 'InvalidInput' });
    const request = create(StartPlanRequestSchema, { planId: newId(), plan: document(hello()) });
    request.$unknown = $unknown;
    await expect(plans.startPlan(request)).rejects.toMatchObject({ type: 'InvalidInput' });
  });

  it('shows a plan, its tasks page by page, and one task whole', async () => {
    const planId = newId();
    await plans.startPlan({ planId, plan: document(hello(3)), inputs: { who: 'you' } });
    const { plan, tasks } = await ended(planId);
    expect(plan).toMatchObject({ state: 'succeeded', taskCount: 3, counts: { succeeded: 3 } });
    expect(tasks.map(({ id }) => id)).toEqual(['t0', 't1', 't2']);
    const second = await plans.getPlan({ planId, taskOffset: 1, taskLimit: 1 });
    expect(second.tasks.map(({ id }) => id)).toEqual(['t1']);
    const { task, attempts, ...detail } = await plans.getTask({ planId, taskId: 't1' });
    expect(task).toMatchObject({ id: 't1', state: 'succeeded', needs: ['t0'] });
    expect(detail.arguments).toEqual({ text: 'hello you' });
    expect(attempts).toMatchObject([{ attempt: 1, agent: 'echo-1' }]);
    await expect(plans.getTask({ planId, taskId: 'none' })).rejects.toMatchObject({ type: 'TaskNotFound' });
    for (const missing of [newId(), 'x/y', ''])
      await expect(plans.getPlan({ planId: missing })).rejects.toMatchObject({ type: 'PlanNotFound' });
  });

  it('lists plans by filter, page by page', async () => {
    const name = `list-${randomUUID().slice(0, 8)}`;
    const text = hello(1).replace('hello', name);
    const ids = [newId(), newId(), newId()].sort();
    for (const planId of ids) await plans.startPlan({ planId, plan: document(text) });
    const filter = { name, owner: 'pm-petra', states: ['succeeded'] };
    await eventually(
      () => plans.listPlans(filter),
      ({ plans: all }) => all.length === 3,
    );
    const first = await plans.listPlans({ ...filter, pageSize: 2 });
    const second = await plans.listPlans({ ...filter, pageSize: 2, pageToken: first.nextPageToken });
    expect(second.nextPageToken).toBe('');
    expect([...first.plans, ...second.plans].map(({ planId }) => planId).sort()).toEqual(ids);
    expect((await plans.listPlans({ ...filter, states: ['failed'] })).plans).toEqual([]);
    const query = `?name=${name}&states=succeeded,failed&pageSize=1`;
    expect((await bench.rest('GET', `/v1/plans${query}`)).json['plans']).toHaveLength(1);
    await expect(plans.listPlans({ owner: "x' or 1=1" })).rejects.toMatchObject({ type: 'InvalidInput' });
    await expect(plans.listPlans({ pageToken: 'zzz' })).rejects.toMatchObject({ type: 'InvalidInput' });
    expect((await bench.rest('GET', '/v1/plans?colour=red')).status).toBe(400);
  });

  it('shows every change as it happens, to its end, and goes on after a cursor', async () => {
    const planId = newId();
    await plans.startPlan({ planId, plan: document(held) });
    const events: WatchPlanResponse[] = [];
    const watching = (async () => {
      for await (const event of plans.watchPlan({ planId })) events.push(event);
    })();
    await eventually(() => Promise.resolve(events.length), Boolean);
    await release(planId);
    await watching;
    expect(events[0]?.event.case).toBe('snapshot');
    const last = events.at(-1)?.event;
    expect(last).toMatchObject({ case: 'change', value: { plan: { state: 'succeeded' } } });
    const cursors = events.flatMap(({ event }) => (event.case === 'change' ? [event.value.cursor] : []));
    expect(cursors).toEqual(cursors.map((_, at) => (cursors[0] ?? 0n) + BigInt(at)));

    const resumed: string[] = [];
    for await (const event of plans.watchPlan({ planId, cursor: (cursors.at(-1) ?? 0n) - 1n }))
      resumed.push(ofEvent(event));
    expect(resumed).toEqual([`change ${cursors.at(-1) ?? ''}`]);
    await expect(plans.watchPlan({ planId: newId() })[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      type: 'PlanNotFound',
    });
  });

  it('shows the same as server-sent events, resumed by their last id', async () => {
    const planId = newId();
    await plans.startPlan({ planId, plan: document(held) });
    const watching = bench.rest('GET', `/v1/plans/${planId}/watch`);
    await eventually(
      () => plans.getTask({ planId, taskId: 'wait' }),
      ({ task }) => task?.state === 'running',
    );
    await release(planId);
    const { status, type, body } = await watching;
    expect({ status, type }).toEqual({ status: 200, type: 'text/event-stream' });
    const ids = [...body.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(body).toMatch(/^event: snapshot\nid: \d+\ndata: \{/);
    expect(body).toMatch(/event: end\ndata: \{\}\n\n$/);
    const newest = ids.at(-1) ?? 0;
    const headers = { 'last-event-id': String(newest - 1) };
    const resumed = await bench.rest('GET', `/v1/plans/${planId}/watch`, { headers });
    expect([...resumed.body.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))).toEqual([newest]);
    expect((await bench.rest('GET', `/v1/plans/${newId()}/watch`)).status).toBe(404);
  });

  it('pauses, resumes, cancels and retries, and says when it cannot', async () => {
    const planId = newId();
    await plans.startPlan({ planId, plan: document(held) });
    expect(await plans.pausePlan({ planId, reason: 'lunch' })).toMatchObject({ plan: { state: 'paused' } });
    expect((await bench.rest('POST', `/v1/plans/${planId}/resume`, { body: {} })).json).toMatchObject({
      plan: { state: 'running' },
    });
    await release(planId, failed);
    expect((await ended(planId)).plan).toMatchObject({ state: 'failed' });
    await expect(plans.retryTask({ planId, taskId: 'nope' })).rejects.toMatchObject({ type: 'TaskNotFound' });
    expect(await plans.retryTask({ planId, taskId: 'wait' })).toMatchObject({ plan: { state: 'running' } });
    await release(planId);
    const { plan, tasks } = await ended(planId);
    expect(plan).toMatchObject({ state: 'succeeded', counts: { succeeded: 1 } });
    expect(tasks).toMatchObject([{ id: 'wait', attempt: 2 }]);

    const other = newId();
    await plans.startPlan({ planId: other, plan: document(held) });
    await plans.cancelPlan({ planId: other, reason: 'enough' });
    await eventually(
      () => plans.getPlan({ planId: other }),
      ({ plan }) => plan?.state !== 'running',
    );
    await expect(plans.pausePlan({ planId: newId() })).rejects.toMatchObject({ type: 'PlanNotFound' });
    await eventually(
      () =>
        plans.pausePlan({ planId }).then(
          () => 'paused',
          (error: unknown) => (error as { type: string }).type,
        ),
      (type) => type === 'PlanClosed',
    );
    await release(other);
    await eventually(
      () => bench.rest('POST', `/v1/plans/${other}/tasks/wait/retry`, { body: {} }),
      ({ status, body }) => status === 409 && body.includes('start it anew'),
    );
  });

  it('lets roles decide, the same over gRPC and REST', async () => {
    const operator = bench.issuer.token(omar);
    const body = { planId: newId(), plan: { document: hello() } };
    expect((await bench.rest('POST', '/v1/plans', { token: operator, body })).status).toBe(403);
    expect((await bench.rest('POST', '/v1/plans', { tls: { ca: tlsOf('admin').ca }, body })).status).toBe(401);
    expect((await bench.rest('GET', '/v1/plans', { token: operator })).status).toBe(200);
    const viewer = bench.issuer.token(person('pm-vera', 'aats-viewer'));
    expect((await bench.rest('GET', '/v1/plans', { token: viewer })).status).toBe(403);
    expect((await bench.rest('GET', '/metrics', { token: viewer })).body).toContain('aats_calls_total');
    await expect(bench.client(ProjectManager, { tls: tlsOf('agent') }).listPlans({})).rejects.toMatchObject({
      type: 'PermissionDenied',
    });
  });

  it('is ready when Temporal, PostgreSQL and Kafka answer, and tells readers of health which', async () => {
    const { status, json } = await bench.rest('GET', '/health/ready');
    expect({ status, json }).toMatchObject({ status: 200, json: { status: 'ok' } });
    expect((json['dependencies'] as { name: string }[]).map(({ name }) => name)).toEqual([
      'temporal',
      'postgresql',
      'kafka',
    ]);
    const anyone = await bench.rest('GET', '/health/ready', { tls: { ca: tlsOf('admin').ca } });
    expect(anyone.json).toEqual({ status: 'ok' });
  });

  it('answers over REST as its OpenAPI document says', async () => {
    const planId = newId();
    const body = { planId, plan: { document: hello() } };
    expect((await bench.rest('POST', '/v1/plans', { body })).status).toBe(200);
    await bench.rest('POST', '/v1/plans/validate', { body: { plan: body.plan, inputs: {} } });
    await ended(planId);
    for (const path of ['', '?taskOffset=1&taskLimit=1', '/tasks/t1', '/tasks/none'])
      await bench.rest('GET', `/v1/plans/${planId}${path}`);
    expect((await bench.rest('POST', `/v1/plans/${planId}/pause`, { body: { planId } })).status).toBe(400);
    const described = createConformance((await bench.rest('GET', '/openapi.json')).json);
    const answers = bench.answers.filter(({ path }) => path.startsWith('/v1/'));
    expect(answers.length).toBeGreaterThan(15);
    expect(answers.flatMap((answer) => described.problemsOf(answer))).toEqual([]);
  });
});
