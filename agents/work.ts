import { z } from 'zod';
import type { Logger } from '../services/runtime/logger';
import type { ArtifactReference, Json } from '../workflows/contracts/json';
import { taskFailed } from './task-failed';

/** What the work on one attempt is given: the context of a handler. */
export interface Work {
  readonly planId: string;
  /** The same for every attempt at one task: what an effect is recorded under, so that it is done once. */
  readonly idempotencyKey: string;
  /** Empty folder of this attempt alone, removed after it. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** What the plan lets it use, by name: paths in the agent's own store of secrets, never the secrets themselves. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Shown to who watches the plan, live and never kept; of several that wait to leave the last one goes. */
  progress(message: string, percent?: number): void;
  /** Writes to the agent's log; each line names the plan, the task and the attempt. */
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  /** Keeps a document; the same content again gives the same reference. */
  keep(document: {
    readonly name: string;
    readonly mediaType: string;
    readonly bytes: Buffer;
  }): Promise<ArtifactReference>;
  /** Writes an artifact to a file. */
  fetch(reference: ArtifactReference, file: string): Promise<void>;
}

/**
 * What an agent offers. `run` gets input that fits the schema; it throws TaskFailed when the work cannot be done, and
 * may be called again for the same attempt's successor, so its effects must bear repetition.
 */
export interface Capability {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  /** False: its work never uses `folder`, and none is made. */
  readonly needsFolder?: boolean;
  run(input: unknown, work: Work): Promise<Json>;
}

/** Ties the types of a capability together and checks what comes in. */
export function capability<I extends z.ZodType, O extends z.ZodType>(definition: {
  readonly name: string;
  readonly description: string;
  readonly input: I;
  readonly output: O;
  readonly needsFolder?: boolean;
  readonly run: (input: z.output<I>, work: Work) => Promise<z.input<O>>;
}): Capability {
  const { input, output, run } = definition;
  return {
    ...definition,
    run: async (given, work) => {
      const parsed = input.safeParse(given);
      if (!parsed.success) throw taskFailed('InvalidInput', inOneLine(parsed.error));
      // Only declared fields leave: a plan can rely on the schema, and nothing slips out by accident.
      const result = output.safeParse(await run(parsed.data, work));
      if (!result.success) throw taskFailed('OutputInvalid', inOneLine(result.error), { retryable: true });
      return result.data as Json;
    },
  };
}

/** `args.0: too long; unknown field`: a failure stands in one line of a page and of a terminal. */
const inOneLine = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message)).join('; ');

/** A reference to a document, as plans pass it. */
export const artifactReference = z.strictObject({
  artifact: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  name: z.string().min(1),
  mediaType: z.string().min(1),
  size: z.number().int().min(0),
});
