import { toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { GetApprovalResponse } from '../../../proto/aats/project/v1/project_pb';
import type { Json, JsonObject } from '../../../workflows/contracts/json';
import { type ShownDocument, shownValues } from '../page/approval-page';
import { type EditableField, type Evidence, lineProperties, namingProperty } from '../page/editable';
import { artifactIn, isObject } from '../page/values';
import type { PlanState } from '../plan-hub';
import type { Upstream } from '../upstream';

// A request is made from the results of few tasks; more would make the page slow.
const tasksAsked = 60;
const textBytes = 256 * 1024;

/**
 * What the tasks before the request found, by the name of the line they speak of. Never rejects: a result that the plan
 * let go, or that is an artifact, is missing on the page and nothing else.
 */
export async function evidenceFor(
  { plans }: Pick<Upstream, 'plans'>,
  token: string,
  plan: PlanState | undefined,
  taskId: string,
  fields: readonly EditableField[],
): Promise<Evidence> {
  const properties = fields.map(lineProperties).find((one) => one !== undefined);
  const task = plan?.tasks.find(({ id }) => id === taskId);
  if (!plan || !properties || !task) return new Map();
  const naming = namingProperty(properties);
  // A forEach keeps its results with its items.
  const asked = plan.tasks.filter(({ id, parent }) => task.needs.includes(parent ?? id)).slice(0, tasksAsked);
  const outputs = await Promise.all(
    asked.map(({ id }) =>
      plans.getTask({ planId: plan.plan.planId, taskId: id }, { token, timeoutMs: 5000 }).then(
        ({ output }) => (output ? (toJson(ValueSchema, output) as Json) : null),
        () => null,
      ),
    ),
  );
  const evidence = new Map<string, JsonObject>();
  for (const output of outputs)
    for (const found of Array.isArray(output) ? (output as readonly Json[]) : [output]) {
      if (!isObject(found) || typeof found[naming] !== 'string') continue;
      evidence.set(found[naming], { ...evidence.get(found[naming]), ...found });
    }
  return evidence;
}

/** The documents that the request shows; text up to 256 KiB is read, with the person's own right. Never rejects. */
export function documentsOf(
  { artifacts }: Pick<Upstream, 'artifacts'>,
  token: string,
  request: GetApprovalResponse,
): Promise<readonly ShownDocument[]> {
  return Promise.all(
    shownValues(request).map(async ({ title, value }) => {
      const artifact = artifactIn(value);
      if (!artifact) return { title, value };
      if (!/^text\/|json$/.test(artifact.mediaType) || artifact.size > textBytes) return { title, value, artifact };
      try {
        const chunks: Uint8Array[] = [];
        let size = 0;
        for await (const { chunk } of artifacts.getArtifact(
          { artifact: artifact.artifact },
          { token, timeoutMs: 10_000 },
        )) {
          size += chunk.length;
          if (size > textBytes) return { title, value, artifact };
          chunks.push(chunk);
        }
        return { title, value, artifact, text: Buffer.concat(chunks).toString('utf8') };
      } catch {
        return { title, value, artifact };
      }
    }),
  );
}
