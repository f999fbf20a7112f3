import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandFailed, exitCodes } from '../cli/exit-codes';
import { createArtifactClient } from '../agents/artifact-client';
import { packProject } from '../examples/dependency-review/pack';
import { Artifacts } from '../proto/aats/data/v1/data_pb';
import { createGrpcClient } from '../services/runtime/grpc-client';
import { clientCredentials } from '../services/runtime/tls';
import { packageRoot } from './package-root';
import type { RestSession } from './rest-session';
import type { StackFile } from './stack-file';

/** A plan as REST tells it, as far as it matters here. */
export interface PlanAnswer {
  readonly plan: {
    readonly planId: string;
    readonly state: string;
    readonly taskCount: number;
    readonly counts: Readonly<Record<string, number>>;
    readonly waitingFor: readonly { readonly approvalId: string; readonly title: string }[];
    readonly failure?: { readonly type: string; readonly message: string };
    readonly result?: unknown;
  };
  readonly tasks: readonly {
    readonly id: string;
    readonly title: string;
    readonly state: string;
    readonly parent?: string;
    readonly failure?: { readonly type: string; readonly message: string };
  }[];
}
const planFile = join(packageRoot, 'examples', 'dependency-review', 'dependency-review.plan.yaml');
const ended = ['succeeded', 'failed', 'cancelled'];
export const hasEnded = ({ plan }: PlanAnswer): boolean => ended.includes(plan.state);

/** The example's plan that still goes on, or a new one with the next number; gives its id. */
export async function startExample(stack: StackFile, starter: RestSession): Promise<string> {
  const list = (await starter.get('/v1/plans?name=dependency-review&pageSize=200')) as {
    readonly plans?: readonly PlanAnswer['plan'][];
  };
  const plans = list.plans ?? [];
  const open = plans.find(({ state }) => !ended.includes(state));
  if (open) return open.planId;
  const last = Math.max(0, ...plans.map(({ planId }) => Number(/^dep-review-(\d+)$/.exec(planId)?.[1] ?? 0)));
  const planId = `dep-review-${String(last + 1).padStart(4, '0')}`;
  const { AATS_DATABASE_CONTROLLER_ADDRESS: address = '', AATS_CA_FILE: caFile = '' } = stack.identities.cli;
  const client = createGrpcClient(Artifacts, {
    address,
    credentials: clientCredentials({ ca: readFileSync(caFile) }),
    token: () => starter.token,
  });
  try {
    const { bytes } = await packProject(join(packageRoot, 'examples', 'dependency-review', 'project'));
    const project = await createArtifactClient(client).put(
      { name: 'project.tar.gz', mediaType: 'application/gzip', bytes },
      AbortSignal.timeout(60_000),
    );
    await starter.post('/v1/plans', {
      planId,
      plan: { document: readFileSync(planFile, 'utf8') },
      inputs: { project },
    });
  } finally {
    client.close();
  }
  return planId;
}

/** Asks until `until` holds; tells each change of the number of ended tasks. */
export async function followPlan(
  session: RestSession,
  planId: string,
  until: (answer: PlanAnswer) => boolean,
  changed: (answer: PlanAnswer) => void,
  seconds: number,
): Promise<PlanAnswer> {
  const ends = Date.now() + seconds * 1000;
  let last = '';
  for (;;) {
    // A service that is busy or starts again says so, and that one may ask again.
    const answer = (await session.get(`/v1/plans/${planId}`).catch((error: unknown) => {
      if (!(error instanceof CommandFailed) || error.failure.exitCode !== exitCodes.unavailable) throw error;
    })) as PlanAnswer | undefined;
    if (answer) {
      const now = JSON.stringify([answer.plan.state, answer.plan.counts]);
      if (now !== last) changed(answer);
      last = now;
      if (until(answer)) return answer;
    }
    if (Date.now() > ends)
      throw new Error(`plan ${planId} is still ${answer?.plan.state ?? 'silent'} after ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
