import { randomUUID } from 'node:crypto';
import { Approvals, ProjectManager } from '../../proto/aats/project/v1/project_pb';
import type { GrpcClient } from '../../services/runtime/grpc-client';
import { person } from '../support/issuer';
import { createConformance } from '../support/openapi';
import { eventually, type ProjectManagerBench, startProjectManagerBench, tlsOf } from '../support/project-manager';
import { started, succeeded } from '../support/temporal';

const group = `pm-${randomUUID().slice(0, 8)}`;
const owner = person(`${group}-owner`, 'aats-admin', group);
const mara = person(`${group}-mara`, 'aats-operator', group);
const omar = person(`${group}-omar`, 'aats-operator');
const vera = person(`${group}-vera`, 'aats-viewer', group);

const gated = `name: gated
title: Publish something
tasks:
  - id: publish
    capability: echo
    with: { text: hello, to: [everyone] }
    approval:
      title: Publish?
      message: There is no way back.
      by: ["group:${group}"]
      expiresIn: 1h
      editable: [{ path: /text, schema: { type: string, maxLength: 10 } }]
`;

describe('approvals', () => {
  let bench: ProjectManagerBench;
  const tokens = { owner: '', mara: '', omar: '', vera: '' };
  let approvals: GrpcClient<typeof Approvals>;

  beforeAll(async () => {
    const people = [owner, mara, omar, vera];
    bench = await startProjectManagerBench((task) => [started(task), succeeded(task, task.arguments)], people);
    Object.assign(tokens, {
      owner: bench.issuer.token(owner),
      mara: bench.issuer.token(mara),
      omar: bench.issuer.token(omar),
      vera: bench.issuer.token(vera),
    });
    approvals = bench.client(Approvals, { token: tokens.mara });
  }, 90_000);
  afterAll(() => bench.close());

  /** A plan of the owner's that waits for an answer. */
  const ask = async (): Promise<{ readonly planId: string; readonly approvalId: string; readonly digest: string }> => {
    const planId = `ap-${randomUUID().slice(0, 8)}`;
    const plans = bench.client(ProjectManager, { token: tokens.owner });
    await plans.startPlan({ planId, plan: { source: { case: 'document', value: gated } } });
    const { plan } = await eventually(
      () => plans.getPlan({ planId }),
      (answer) => (answer.plan?.waitingFor.length ?? 0) > 0,
    );
    const approvalId = plan?.waitingFor[0]?.approvalId ?? '';
    const { digest } = await eventually(
      () => approvals.getApproval({ approvalId }).catch(() => ({ digest: '' })),
      (request) => request.digest !== '',
    );
    return { planId, approvalId, digest };
  };
  const decision = (digest: string, more: object = {}) => ({
    decisionId: randomUUID(),
    choice: 'approve',
    reason: '',
    edits: [],
    digest,
    ...more,
  });
  const ended = (planId: string) =>
    eventually(
      () => bench.client(ProjectManager).getPlan({ planId }),
      ({ plan }) => plan?.state === 'succeeded' || plan?.state === 'failed',
    );

  it('are listed for everybody and wait for those whose answer counts', async () => {
    const { planId, approvalId } = await ask();
    const seenBy = (token: string, view: string) =>
      bench
        .client(Approvals, { token })
        .listApprovals({ planId, view })
        .then(({ approvals: all }) => all);
    await eventually(
      () => seenBy(tokens.mara, 'open'),
      (all) => all.length === 1,
    );
    expect(await seenBy(tokens.mara, 'mine')).toMatchObject([
      { approvalId, planId, title: 'Publish?', status: 'open', waitingForYou: true, requestedBy: owner.name },
    ]);
    // Four eyes: the owner asked; the other operator is not in the group.
    for (const token of [tokens.owner, tokens.omar]) {
      expect(await seenBy(token, 'open')).toMatchObject([{ approvalId, waitingForYou: false }]);
      expect(await seenBy(token, 'mine')).toEqual([]);
    }
    await expect(seenBy(tokens.mara, 'all')).rejects.toMatchObject({ type: 'InvalidInput' });
    await expect(seenBy(tokens.vera, 'open')).rejects.toMatchObject({ type: 'PermissionDenied' });
  });

  it('show what will happen, and let the plan go on as answered', async () => {
    const { planId, approvalId, digest } = await ask();
    expect(await approvals.getApproval({ approvalId })).toMatchObject({
      approval: { status: 'open', waitingForYou: true },
      capability: 'echo',
      at: 'before',
      message: 'There is no way back.',
      subject: { text: 'hello', to: ['everyone'] },
      editable: [{ path: '/text' }],
      excluded: [owner.name],
    });
    const edits = [{ path: '/text', value: { kind: { case: 'stringValue' as const, value: 'hullo' } } }];
    const { outcome } = await approvals.decide({ approvalId, decision: decision(digest, { edits }) });
    expect(outcome).toMatchObject({ status: 'approved', decidedBy: mara.name, surface: 'grpc' });
    expect((await ended(planId)).plan).toMatchObject({ state: 'succeeded' });
    const { arguments: given } = await bench.client(ProjectManager).getTask({ planId, taskId: 'publish' });
    expect(given).toEqual({ text: 'hullo', to: ['everyone'] });
    await eventually(
      () => approvals.listApprovals({ planId, view: 'done' }),
      ({ approvals: done }) => done[0]?.status === 'approved',
    );
  });

  it('count once: the same answer gets the first one again, another one is late', async () => {
    const { planId, approvalId, digest } = await ask();
    const answer = decision(digest, { choice: 'reject', reason: 'not today' });
    const first = await approvals.decide({ approvalId, decision: answer });
    expect(first.outcome).toMatchObject({ status: 'rejected', reason: 'not today' });
    expect(await approvals.decide({ approvalId, decision: answer })).toEqual(first);
    expect((await ended(planId)).plan?.state).toBe('failed');
    expect(await approvals.decide({ approvalId, decision: answer })).toEqual(first);
    await expect(approvals.decide({ approvalId, decision: decision(digest) })).rejects.toMatchObject({
      type: 'ApprovalClosed',
      message: `${approvalId} is rejected by ${mara.name}`,
    });
  });

  it('take no answer from a service, an agent, a viewer, the requester or anybody not asked', async () => {
    const { approvalId, digest } = await ask();
    const tryAs = (options: Parameters<ProjectManagerBench['client']>[1]) =>
      bench.client(Approvals, options).decide({ approvalId, decision: decision(digest) });
    for (const tls of [tlsOf('hitl'), tlsOf('admin'), tlsOf('agent')])
      await expect(tryAs({ tls })).rejects.toMatchObject({ type: 'PermissionDenied' });
    await expect(tryAs({ token: tokens.vera })).rejects.toMatchObject({ type: 'PermissionDenied' });
    for (const token of [tokens.owner, tokens.omar])
      await expect(tryAs({ token })).rejects.toMatchObject({ type: 'NotEligible' });
    const path = `/v1/approvals/${approvalId}/decision`;
    expect((await bench.rest('POST', path, { body: { decision: decision(digest) } })).status).toBe(403);
    expect((await approvals.getApproval({ approvalId })).approval?.status).toBe('open');
  });

  it('take who answers from the token and how from the transport, never from the body', async () => {
    const { approvalId, digest } = await ask();
    const path = `/v1/approvals/${approvalId}/decision`;
    const forged = { decision: { ...decision(digest), person: { name: omar.name }, surface: 'web' } };
    expect((await bench.rest('POST', path, { token: tokens.mara, body: forged })).status).toBe(400);
    const answer = await bench.rest('POST', path, { token: tokens.mara, body: { decision: decision(digest) } });
    expect(answer).toMatchObject({ status: 200, json: { outcome: { decidedBy: mara.name, surface: 'rest' } } });

    const next = await ask();
    const page = bench.client(Approvals, { token: tokens.mara, tls: tlsOf('hitl'), surface: 'web' });
    const { outcome } = await page.decide({ approvalId: next.approvalId, decision: decision(next.digest) });
    expect(outcome).toMatchObject({ decidedBy: mara.name, surface: 'web' });
  });

  it('refuse answers to something else than was shown, forbidden edits, and what is no answer', async () => {
    const { approvalId, digest } = await ask();
    const decide = (more: object) => approvals.decide({ approvalId, decision: decision(digest, more) });
    await expect(decide({ digest: `sha256:${'0'.repeat(64)}` })).rejects.toMatchObject({ type: 'ApprovalSuperseded' });
    const value = { kind: { case: 'stringValue' as const, value: 'far too long for it' } };
    await expect(
      decide({
        edits: [
          { path: '/text', value },
          { path: '/to', value },
        ],
      }),
    ).rejects.toMatchObject({ type: 'InvalidInput', details: [{ pointer: '/text' }, { pointer: '/to' }] });
    await expect(decide({ choice: 'maybe', decisionId: '', digest: '' })).rejects.toMatchObject({
      details: [{ pointer: '/decision/choice' }, { pointer: '/decision/decisionId' }, { pointer: '/decision/digest' }],
    });
    const twice = [
      { path: '/text', value },
      { path: '/text', value },
    ];
    await expect(decide({ edits: twice })).rejects.toMatchObject({ details: [{ pointer: '/decision/edits' }] });
    await expect(approvals.decide({ approvalId })).rejects.toMatchObject({ type: 'InvalidInput' });
    for (const missing of ['none/publish/1', 'x', ''])
      await expect(approvals.getApproval({ approvalId: missing })).rejects.toMatchObject({ type: 'ApprovalNotFound' });
  });

  it('are answered over REST as the OpenAPI document says', async () => {
    const { planId, approvalId } = await ask();
    for (const path of [`/v1/approvals?planId=${planId}`, `/v1/approvals/${approvalId}`, '/v1/approvals/none/x/1'])
      await bench.rest('GET', path, { token: tokens.mara });
    const described = createConformance((await bench.rest('GET', '/openapi.json')).json);
    const answers = bench.answers.filter(({ path }) => path.startsWith('/v1/'));
    expect(answers.length).toBeGreaterThan(5);
    expect(answers.flatMap((answer) => described.problemsOf(answer))).toEqual([]);
  });
});
