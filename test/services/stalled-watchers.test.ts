import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { request, type RequestOptions } from 'node:https';
import { setTimeout } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { ProjectManager, WatchPlanRequestSchema } from '../../proto/aats/project/v1/project_pb';
import type { GrpcClient } from '../../services/runtime/grpc-client';
import type { ChangeSet, PlanHeader } from '../../workflows/contracts/plan';
import { planWorkflowId } from '../../workflows/contracts/plan';
import { eventually, type ProjectManagerBench, startProjectManagerBench, tlsOf } from '../support/project-manager';
import { started } from '../support/temporal';

const patienceMs = 3000;
/** More than kernels and protocols hold for a reader that takes nothing. */
const [changeBytes, changes] = [100_000, 120];
/** Changes in one message set, which holds at most 1 MiB. */
const atOnce = 8;

describe('a watcher that stops reading', () => {
  let bench: ProjectManagerBench;
  let plans: GrpcClient<typeof ProjectManager>;
  beforeAll(async () => {
    bench = await startProjectManagerBench(started, [], { AATS_STALLED_READER_MS: patienceMs });
    plans = bench.client(ProjectManager);
  }, 90_000);
  afterAll(() => bench.close());

  const startPlan = async (): Promise<string> => {
    const planId = `stalled-${randomUUID().slice(0, 8)}`;
    const value = JSON.stringify({ name: 'stalled', tasks: [{ id: 'wait', capability: 'echo' }] });
    await plans.startPlan({ planId, plan: { source: { case: 'document', value } } });
    await eventually(
      () => plans.getPlan({ planId }),
      ({ plan }) => (plan?.counts['running'] ?? 0) === 1,
    );
    return planId;
  };
  /** Many changes of a plan at once, the last of which ends it for whoever watches. */
  const pump = async (planId: string): Promise<void> => {
    const at = new Date().toISOString();
    const from = Number((await plans.getPlan({ planId })).plan?.cursor ?? 0n);
    const header = await bench.env.client.workflow.getHandle(planWorkflowId(planId)).query<PlanHeader>('header');
    const all = Array.from({ length: changes }, (_, n): ChangeSet => {
      const state = n === changes - 1 ? 'cancelled' : 'running';
      const plan = { ...header, title: 'x'.repeat(changeBytes), state } as const;
      return { planId, cursor: from + n + 1, at, plan, tasks: [], attempts: [] };
    });
    for (let n = 0; n < changes; n += atOnce) await bench.publish({ planId, changes: all.slice(n, n + atOnce) });
  };
  /** Once so many watches were cut off, as the service counts them. */
  const areCutOff = (watches: number, method: string): Promise<unknown> =>
    eventually(
      async () => {
        const line = (await bench.rest('GET', '/metrics')).body.split('\n').find((one) => one.includes(method));
        return Number(line?.split(' ').at(-1) ?? 0);
      },
      (count) => count === watches,
    );
  /** A watcher beside them that reads everything. */
  let watching = 0;
  const readAll = async (planId: string): Promise<string[]> => {
    const seen: string[] = [];
    for await (const { event } of plans.watchPlan({ planId })) {
      if (event.case === 'snapshot') watching += 1;
      seen.push(event.case ?? '');
    }
    return seen;
  };

  it('is told so when it reads on, and the others see every change', async () => {
    const planId = await startPlan();
    const stalled = plans.watchPlan({ planId })[Symbol.asyncIterator]();
    await stalled.next();
    const others = Promise.all([readAll(planId), readAll(planId)]);
    await eventually(
      () => Promise.resolve(watching),
      (count) => count === 2,
    );
    await pump(planId);
    const [one, other] = await others;
    for (const seen of [one, other]) {
      // A reader of Kafka that had to join its group anew shows a change by a snapshot.
      expect(seen.length).toBeGreaterThan(changes);
      expect(seen.at(-1)).toBe('change');
    }
    await areCutOff(1, 'method="aats.project.v1.ProjectManager/WatchPlan",code="SlowReader"');
    let read = 1;
    const readOn = async (): Promise<void> => {
      while ((await stalled.next()).done !== true) read += 1;
    };
    await expect(readOn()).rejects.toMatchObject({ type: 'SlowReader' });
    expect(read).toBeLessThan(changes / 2);
  }, 60_000);

  it('and grants no room even for that is given up, its stream alone', async () => {
    const planId = await startPlan();
    const session = connect(`https://localhost:${bench.grpcPort}`, { ...tlsOf('admin') });
    const open = (path: string, message: Uint8Array) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      const length = Buffer.alloc(5);
      length.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([length, message]));
      return stream;
    };
    const watch = '/aats.project.v1.ProjectManager/WatchPlan';
    const stalled = open(watch, toBinary(WatchPlanRequestSchema, create(WatchPlanRequestSchema, { planId })));
    stalled.on('error', () => undefined); // that it was reset
    await once(stalled, 'response');
    const closed = new Promise((resolve) => stalled.once('close', resolve));
    await pump(planId);
    await closed;
    expect(stalled.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(session.destroyed).toBe(false);
    session.destroy();
  }, 60_000);

  it('over REST is told so when it reads on soon, and else loses its connection', async () => {
    const planId = await startPlan();
    const options: RequestOptions = { ...tlsOf('admin'), agent: false };
    const watch = async () => {
      const call = request(`https://localhost:${bench.restPort}/v1/plans/${planId}/watch`, options);
      const [response] = (await once(call.end(), 'response')) as [
        NodeJS.ReadableStream & { readonly complete: boolean },
      ];
      return response;
    };
    const read = async (response: AsyncIterable<unknown>): Promise<string> => {
      let text = '';
      for await (const part of response) text += String(part);
      return text;
    };
    const [soon, late] = [await watch(), await watch()];
    await pump(planId);
    await areCutOff(2, 'method="GET /v1/plans/:planId/watch",code="200"');
    const told = await read(soon);
    expect(told).toContain('urn:aats:failure:SlowReader');
    expect(told).not.toContain('event: end');
    await setTimeout(1.2 * patienceMs);
    await expect(read(late)).rejects.toMatchObject({ code: 'ECONNRESET' });
  }, 60_000);
});
