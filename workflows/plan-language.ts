import type { Json, JsonObject } from './contracts/json';
import type { PlanDefinition } from './contracts/plan-definition';
import { checkApprovals, type PlanDirectory } from './plan-approval-check';
import type { Stage } from './plan-fields';
import { normalisePlan } from './plan-normalise';
import { createProblemList, didYouMean, type Problem } from './plan-problems';
import { checkShape } from './plan-shape';
import { checkPlanUses, checkTasks } from './plan-tasks-check';
import { planVariable, typeOfInputs } from './plan-types';
import { isArray, isObject, unkeptMessage, unkeptPlaces } from './plan-values';

export type { PlanDirectory } from './plan-approval-check';

/** The stage of the language that this build serves; fields of later ones are refused, never ignored. */
export const servedStage: Stage = 1;

export interface ValidationOptions {
  /** Line of a place in the author's text; 0 for all when there is no text. */
  readonly lineOf?: (pointer: string) => number;
  /** The author's own spelling of a scalar: `1.20` is a number only to the parser. */
  readonly sourceOf?: (pointer: string) => string | undefined;
  readonly served?: Stage;
  /** Capabilities that agents offer now. */
  readonly knownCapabilities?: readonly string[];
  readonly directory?: PlanDirectory;
  /** Who would start it: does not count where four eyes are asked for. */
  readonly requester?: string;
}

/** Every problem of a plan at once, ordered by line; the plan itself, defaults written out, when there is no error. */
export function validatePlan(
  value: Json,
  options: ValidationOptions = {},
): { readonly problems: readonly Problem[]; readonly plan?: PlanDefinition } {
  const { lineOf = () => 0, sourceOf = () => undefined, served = servedStage } = options;
  const problems = createProblemList(lineOf);
  if (!isObject(value)) {
    problems.error('WRONG_TYPE', '', 'A plan is a map with name and tasks.');
    return { problems: problems.all() };
  }
  for (const at of unkeptPlaces(value)) problems.error('BAD_VALUE', at, unkeptMessage);
  checkShape(value, problems, served);
  const graph = checkTasks(value, '', problems);
  checkPlanUses(
    value,
    problems,
    {
      inputs: isObject(value['inputs']) ? typeOfInputs(value['inputs']) : { is: 'record', fields: {} },
      plan: planVariable(value),
    },
    graph,
  );
  checkApprovals(value, problems, options.directory, options.requester);
  if (options.knownCapabilities) warnUnknownCapabilities(value, options.knownCapabilities, problems);
  const all = problems.all().map((problem) => ({ ...problem, message: fillIn(problem, lineOf, sourceOf) }));
  if (all.some(({ severity }) => severity === 'error')) return { problems: all };
  return { problems: all, plan: normalisePlan(value) };
}

/** Lines of other places, and the author's own spelling, are known only here. */
const fillIn = (
  { code, message, pointer }: Problem,
  lineOf: (pointer: string) => number,
  sourceOf: (pointer: string) => string | undefined,
): string => {
  if (code === 'DUPLICATE_ID') return message.replace(/\{\{line:([^}]*)\}\}/, (_, at: string) => String(lineOf(at)));
  return code === 'SCHEMA_MISMATCH' ? message.replaceAll('{{source}}', sourceOf(pointer) ?? '1.0') : message;
};

function warnUnknownCapabilities(
  plan: JsonObject,
  known: readonly string[],
  problems: ReturnType<typeof createProblemList>,
): void {
  if (!isArray(plan['tasks'])) return;
  plan['tasks'].forEach((task, index) => {
    if (!isObject(task)) return;
    for (const [owner, at] of [
      [task, `/tasks/${index}`],
      [task['compensation'], `/tasks/${index}/compensation`],
    ] as const) {
      if (!isObject(owner)) continue;
      const name = owner['capability'];
      if (typeof name !== 'string' || name.includes('${{') || known.includes(name)) continue;
      const suggestion = didYouMean(name, known);
      problems.warning(
        'UNKNOWN_CAPABILITY',
        `${at}/capability`,
        `No agent offers "${name}" now; ${suggestion === '' ? 'its tasks wait until one does.' : suggestion}`,
      );
    }
  });
}
