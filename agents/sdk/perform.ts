import { mkdir, rm } from 'node:fs/promises';
import { ServiceFailure } from '../../services/runtime/failure-status';
import type { Json } from '../../workflows/contracts/json';
import type { TaskDispatch } from '../../workflows/contracts/messages';
import { inlineLimitBytes } from '../../workflows/contracts/plan';
import { validateValue } from '../../workflows/json-schema';
import type { ArtifactClient } from '../artifact-client';
import { TaskFailed } from '../task-failed';
import type { Capability, Work } from '../work';

export type Outcome =
  | { readonly kind: 'succeeded'; readonly output: Json }
  | {
      readonly kind: 'failed';
      readonly failure: { readonly type: string; readonly message: string };
      readonly retryable: boolean;
    };
export interface Performance {
  readonly task: TaskDispatch;
  /** Absent when the agent does not offer it. */
  readonly capability: Capability | undefined;
  /** Made empty before the work when the capability needs one, and removed after it. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly artifacts: ArtifactClient;
  readonly log: Work['log'];
  readonly progress: (report: { readonly message: string; readonly percent?: number }) => void;
}

// What the message schema of a report takes: one that does not fit would never reach the plan.
const failureType = /^[A-Z][A-Za-z0-9]{0,62}$/;
const failureCharacters = 10_000;
const progressCharacters = 2000;

/**
 * Runs a handler on one attempt; resolves with how that ended, whatever the handler does. A result that does not fit
 * the plan's schema is OutputInvalid, one over the inline limit becomes a document, an abort is Cancelled at once, and
 * what was aborted before it began is not begun.
 */
export async function perform(performance: Performance): Promise<Outcome> {
  const { task, capability, folder, signal, artifacts, log } = performance;
  if (!capability) return failed('UnknownCapability', `this agent does not offer ${task.capability}`, true);
  const needsFolder = capability.needsFolder !== false;
  try {
    signal.throwIfAborted();
    if (needsFolder) {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    const output = await unlessAborted(capability.run(task.arguments, workOf(performance)), signal);
    const [problem] = task.outputSchema ? validateValue(task.outputSchema, output) : [];
    if (problem) return failed('OutputInvalid', `${problem.pointer} ${problem.message}`.trim(), true);
    const bytes = Buffer.from(JSON.stringify(output));
    if (bytes.length <= inlineLimitBytes) return { kind: 'succeeded', output };
    const document = { name: 'output.json', mediaType: 'application/json', bytes };
    return { kind: 'succeeded', output: { ...(await artifacts.put(document, signal)) } };
  } catch (error) {
    if (signal.aborted) return failed('Cancelled', 'it was told to stop', false);
    if (error instanceof TaskFailed) return failed(error.type, error.message, error.retryable);
    // A service said why: a document that is too large is so the next time, a store that is away may be back.
    if (error instanceof ServiceFailure && error.type !== 'Internal')
      return failed(error.type, error.message, error.retryable);
    log.error({ err: error }, 'the handler broke');
    const [line = ''] = error instanceof Error ? error.message.split('\n') : [];
    return failed('AgentFailed', line || 'the handler broke', true);
  } finally {
    // A program that was told to stop may write for a moment longer.
    if (needsFolder) await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

const workOf = ({ task, folder, signal, artifacts, log, progress }: Performance): Work => ({
  planId: task.planId,
  idempotencyKey: `${task.planId}/${task.taskId}`,
  folder,
  signal,
  secrets: task.secrets ?? {},
  log,
  progress(message, percent) {
    const within = percent === undefined ? undefined : Math.min(100, Math.max(0, percent));
    progress({ message: message.slice(0, progressCharacters), ...(within !== undefined && { percent: within }) });
  },
  keep: (document) => artifacts.put(document, signal),
  fetch: (reference, file) => artifacts.fetch(reference, file, signal),
});

function failed(type: string, message: string, retryable: boolean): Outcome {
  const fits = failureType.test(type);
  const text = (fits ? message : `${type}: ${message}`).slice(0, failureCharacters);
  return { kind: 'failed', failure: { type: fits ? type : 'AgentFailed', message: text }, retryable };
}

/** Ends with the work, or at once when it is told to stop: a handler that ignores its signal does not hold the slot. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', stop);
    });
  });
}
