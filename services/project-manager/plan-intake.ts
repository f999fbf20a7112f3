import { toJson } from '@bufbuild/protobuf';
import { type Plan, PlanSchema } from '../../proto/aats/project/v1/plan_pb';
import type { PlanSource } from '../../proto/aats/project/v1/project_pb';
import { failure } from '../../workflows/contracts/failures';
import { type Json, jsonBytes, type JsonObject } from '../../workflows/contracts/json';
import type { PlanDefinition } from '../../workflows/contracts/plan-definition';
import { type PlanDirectory, validatePlan } from '../../workflows/plan-language';
import type { Problem } from '../../workflows/plan-problems';
import { readPlanSource } from '../runtime/plan-source';

/**
 * What a plan and its inputs may have, as its author gave them. Temporal refuses payloads over 2 MiB; the defaults, which
 * are written out for the workflow, may make three times as much of it and are compressed to next to nothing.
 */
export const planBytes = 1024 * 1024;

/** That plan and inputs are too large together, when they are. */
export function sizeProblems(plan: Json, inputs: JsonObject): readonly Problem[] {
  const bytes = jsonBytes(plan) + jsonBytes(inputs);
  if (bytes <= planBytes) return [];
  const what = Object.keys(inputs).length === 0 ? 'The plan has' : 'Plan and inputs have';
  const message = `${what} ${bytes} bytes as JSON, more than ${planBytes}; put what is large into artifacts.`;
  return [{ severity: 'error', code: 'TOO_LARGE', pointer: '', line: 1, message }];
}

/** An answer that nobody could receive would tell of none. Errors before warnings, each by line. */
const mostProblems = 1000;
function limited(all: readonly Problem[]): readonly Problem[] {
  if (all.length <= mostProblems) return all;
  const isError = ({ severity }: Problem): boolean => severity === 'error';
  const first = [...all.filter(isError), ...all.filter((one) => !isError(one))].slice(0, mostProblems);
  const last = first.at(-1);
  const message = `There are ${all.length} problems; the first ${mostProblems} are listed.`;
  return last ? [...first, { ...last, message }] : first;
}

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
  if (form.case === 'document' && Buffer.byteLength(form.value) > planBytes) {
    const bytes = Buffer.byteLength(form.value);
    const message = `The text has ${bytes} bytes, more than ${planBytes}; put what is large into artifacts.`;
    return { problems: [{ severity: 'error', code: 'TOO_LARGE', pointer: '', line: 1, message }], value: null };
  }
  const text = form.case === 'document' ? readPlanSource(form.value) : undefined;
  const value = text ? text.value : (toJson(PlanSchema, form.value as Plan) as Json);
  const found = text?.problems ?? [];
  if (value === undefined) return { problems: limited(found), value: null };
  const tooLarge = sizeProblems(value, {});
  if (tooLarge.length > 0) return { problems: tooLarge, value: null };
  const checked = validatePlan(value, {
    ...(text && { lineOf: (at) => text.lineOf(at), sourceOf: (at) => text.sourceOf(at) }),
    ...(capabilities && { knownCapabilities: capabilities }),
    ...(directory && { directory, ...(requester !== undefined && { requester }) }),
  });
  const problems = [...found, ...checked.problems].sort((a, b) => a.line - b.line);
  const isSound = !problems.some(({ severity }) => severity === 'error');
  return { problems: limited(problems), value, ...(isSound && checked.plan && { plan: checked.plan }) };
}
