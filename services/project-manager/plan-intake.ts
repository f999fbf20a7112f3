import { type Message, toJson } from '@bufbuild/protobuf';
import { PlanSchema } from '../../proto/aats/project/v1/plan_pb';
import type { PlanSource } from '../../proto/aats/project/v1/project_pb';
import { failure } from '../../workflows/contracts/failures';
import type { Json } from '../../workflows/contracts/json';
import type { PlanDefinition } from '../../workflows/contracts/plan-definition';
import { type PlanDirectory, validatePlan } from '../../workflows/plan-language';
import type { Problem } from '../../workflows/plan-problems';
import { readPlanSource } from '../runtime/plan-source';

export interface Intake {
  readonly problems: readonly Problem[];
  /** The value as its author wrote it; kept with the plan. */
  readonly value: Json;
  /** Present when there is no error among the problems. */
  readonly plan?: PlanDefinition;
}

/** What is known beside the plan; what cannot be asked now is left out, and its warnings with it. */
export interface Surroundings {
  readonly capabilities?: readonly string[];
  readonly directory?: PlanDirectory;
}

/** Reads and checks a plan in any of its forms: every problem at once, with lines where there is text. */
export function takeInPlan(
  source: PlanSource | undefined,
  requester: string | undefined,
  { capabilities, directory }: Surroundings,
): Intake {
  const form = source?.source;
  if (form?.case === undefined)
    throw failure('InvalidInput', 'there is no plan in the request', {
      details: [{ pointer: '/plan', message: 'give the plan as a document or as a message' }],
    });
  if (form.case === 'plan') refuseUnknownFields(form.value, '/plan');
  const { value, lineOf, problems } =
    form.case === 'document'
      ? readPlanSource(form.value)
      : { value: toJson(PlanSchema, form.value) as Json, lineOf: () => 0, problems: [] as readonly Problem[] };
  if (problems.some(({ severity }) => severity === 'error') && value === undefined) return { problems, value: null };
  const checked = validatePlan(value ?? null, {
    lineOf,
    ...(capabilities && { knownCapabilities: capabilities }),
    ...(directory && { directory, ...(requester !== undefined && { requester }) }),
  });
  const all = [...problems, ...checked.problems].sort((a, b) => a.line - b.line);
  const isSound = !all.some(({ severity }) => severity === 'error');
  return { problems: all, value: value ?? null, ...(isSound && checked.plan && { plan: checked.plan }) };
}

/** A newer client's gate would vanish in an older server: a binary message with fields that we do not know is refused. */
function refuseUnknownFields(message: Message, pointer: string): void {
  if ((message.$unknown ?? []).length > 0)
    throw failure('InvalidInput', 'the plan has fields that this server does not know', {
      details: [{ pointer, message: 'unknown fields; use the plan language that this server serves' }],
    });
  for (const [key, value] of Object.entries(message)) {
    if (key.startsWith('$') || typeof value !== 'object' || value === null) continue;
    for (const [at, one] of Object.entries(value as object)) {
      if (typeof one === 'object' && one !== null && '$typeName' in one)
        refuseUnknownFields(one as Message, `${pointer}/${key}/${at}`);
    }
    if ('$typeName' in value) refuseUnknownFields(value as Message, `${pointer}/${key}`);
  }
}
