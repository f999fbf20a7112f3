import { followPlan, hasEnded, type PlanAnswer, startExample } from '../../stack/demo-plan';
import { startSystem, type System } from '../support/system';

let system: System;
beforeAll(async () => {
  system = await startSystem();
}, 120_000);
afterAll(async () => {
  await system.stop();
}, 60_000);

const plan = (name: string, tasks: readonly object[], more: object = {}): string =>
  JSON.stringify({ name, tasks, ...more });
const id = (name: string): string => `${name}-${Date.now().toString(36)}`;

describe('the whole system', () => {
  it('reviews the dependencies of a real project, with a person in the middle', async () => {
    const jonas = await system.session('jonas');
    // An example that a run before left in its middle would be taken over.
    const left = (await jonas.get('/v1/plans?name=dependency-review&states=running&pageSize=200')) as {
      readonly plans?: readonly PlanAnswer['plan'][];
    };
    for (const one of left.plans ?? []) {
      await jonas.post(`/v1/plans/${one.planId}/cancel`, {});
      await system.planEnd(one.planId, 120);
    }
    const planId = await startExample(system.stack, jonas);
    const waiting = await followPlan(
      jonas,
      planId,
      (answer) => hasEnded(answer) || answer.plan.waitingFor.length > 0,
      () => undefined,
      240,
    );
    const approvalId = waiting.plan.waitingFor[0]?.approvalId ?? '';
    expect(approvalId).toBe(`${planId}/apply/1`);

    const request = (await jonas.get(`/v1/approvals/${approvalId}`)) as {
      digest: string;
      subject: { upgrades: { name: string; to: string }[] };
      approval: { waitingForYou: boolean };
    };
    expect(request.approval.waitingForYou).toBe(false);
    expect(request.subject.upgrades.length).toBeGreaterThan(1);
    const decision = {
      choice: 'approve',
      digest: request.digest,
      edits: [{ path: '/upgrades', value: request.subject.upgrades.slice(0, 1) }],
    };
    // Who is not asked does not count; nor does an answer to something else.
    await expect(
      jonas.post(`/v1/approvals/${approvalId}/decision`, { decision: { ...decision, decisionId: 'jonas-0001' } }),
    ).rejects.toThrow('jonas may not answer');
    const mara = await system.session('mara');
    await expect(
      mara.post(`/v1/approvals/${approvalId}/decision`, {
        decision: { ...decision, decisionId: 'mara-00001', digest: `sha256:${'0'.repeat(64)}` },
      }),
    ).rejects.toThrow('not what you were shown');
    const answer = { decision: { ...decision, decisionId: 'mara-00002' } };
    expect(await mara.post(`/v1/approvals/${approvalId}/decision`, answer)).toMatchObject({
      outcome: { status: 'approved', decidedBy: 'mara', surface: 'rest' },
    });
    // The same answer again is the same answer; another one comes too late.
    expect(await mara.post(`/v1/approvals/${approvalId}/decision`, answer)).toMatchObject({
      outcome: { decidedBy: 'mara' },
    });
    await expect(
      mara.post(`/v1/approvals/${approvalId}/decision`, { decision: { ...decision, decisionId: 'mara-00003' } }),
    ).rejects.toThrow('is approved by mara');

    const end = await followPlan(jonas, planId, hasEnded, () => undefined, 180);
    expect(end.plan).toMatchObject({ state: 'succeeded', result: { report: { mediaType: 'text/markdown' } } });
    const applied = (await jonas.get(`/v1/plans/${planId}/tasks/apply`)) as {
      arguments: { upgrades: object[] };
      output: { branch: string };
    };
    expect(applied.arguments.upgrades).toHaveLength(1);
    expect(applied.output.branch).toBe(`aats/upgrades-${planId}`);
  }, 480_000);

  it('starts the same plan once, and refuses another one with its id', async () => {
    const jonas = await system.session('jonas');
    const planId = id('same');
    const body = { planId, plan: { document: plan('same', [{ id: 'a', capability: 'echo' }]) }, inputs: {} };
    expect(await jonas.post('/v1/plans', body)).toMatchObject({ created: true });
    expect(await jonas.post('/v1/plans', body)).toMatchObject({ created: false });
    await expect(
      jonas.post('/v1/plans', { ...body, plan: { document: plan('same', [{ id: 'b', capability: 'echo' }]) } }),
    ).rejects.toThrow('another plan');
    await expect(jonas.post('/v1/plans', { ...body, planId: 'Wrong_Id' })).rejects.toMatchObject({
      failure: { lines: [{ name: '/planId' }] },
    });
    await expect((await system.session('mara')).post('/v1/plans', { ...body, planId: id('denied') })).rejects.toThrow(
      'may not create tasks',
    );
  }, 60_000);
});
