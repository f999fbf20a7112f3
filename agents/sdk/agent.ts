import { setMaxListeners } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Artifacts } from '../../proto/aats/data/v1/data_pb';
import { createGrpcClient } from '../../services/runtime/grpc-client';
import type { Lifecycle } from '../../services/runtime/shutdown';
import { clientCredentials, readTls } from '../../services/runtime/tls';
import type { Json, JsonSchema } from '../../workflows/contracts/json';
import type { TaskDispatch, TaskReport, Transport } from '../../workflows/contracts/messages';
import { inlineLimitBytes } from '../../workflows/contracts/plan';
import { validateValue } from '../../workflows/json-schema';
import { createArtifactClient } from '../artifact-client';
import { TaskFailed } from '../task-failed';
import type { Capability, Work } from '../work';
import type { AgentConfig } from './agent-config';
import { keepPresent } from './heartbeat';
import { kafkaTransport } from './kafka-transport';
import { createOutbox } from './outbox';
import { rabbitmqTransport } from './rabbitmq-transport';
import { createSlots, type Slot } from './slots';
import type { Delivery } from './transport';

export interface AgentOptions {
  readonly agentId: string;
  readonly transport: Transport;
  /** Tasks at once. */
  readonly capacity: number;
  readonly capabilities: readonly Capability[];
  readonly config: AgentConfig;
}
type Outcome =
  | { readonly kind: 'succeeded'; readonly output: Json }
  | {
      readonly kind: 'failed';
      readonly failure: { readonly type: string; readonly message: string };
      readonly retryable: boolean;
    };

const rememberAttempts = 5000;

/**
 * Runs an agent until the process stops: registers, takes tasks while it has free slots, runs their handlers, and
 * reports. A task that comes twice runs once and its kept result is reported again. The same handlers run over either bus.
 */
export async function runAgent(options: AgentOptions, lifecycle: Lifecycle): Promise<void> {
  const { agentId, capacity, capabilities, config } = options;
  const { logger } = lifecycle;
  const names = capabilities.map(({ name }) => name);
  const credentials = clientCredentials(readTls(config));
  const coordinator = createGrpcClient(CommunicationCoordinator, {
    address: config.AATS_COORDINATOR_ADDRESS,
    credentials,
  });
  const artifactClient = createGrpcClient(Artifacts, { address: config.AATS_DATABASE_CONTROLLER_ADDRESS, credentials });
  lifecycle.onStop('clients', async () => {
    coordinator.close();
    artifactClient.close();
    return Promise.resolve();
  });
  const artifacts = createArtifactClient(artifactClient);
  const running = new Map<string, { readonly task: TaskDispatch; readonly abort: AbortController }>();
  const done = new Map<string, Outcome>();
  const slots = createSlots(capacity);

  const presence = await keepPresent({
    coordinator,
    registration: {
      agentId,
      transport: options.transport,
      capacity,
      capabilities: capabilities.map(({ name, description, input, output }) => ({
        name,
        description,
        input: jsonSchema(input),
        output: jsonSchema(output),
      })),
    },
    running: () => [...running.values()].map(({ task }) => task),
    onCancel: (id) => running.get(id)?.abort.abort(new Error('the plan no longer wants it')),
    onDrain: () => {
      void drain('by an operator');
    },
    logger,
  });
  lifecycle.onStop('presence', () => presence.stop());
  const transport =
    options.transport === 'kafka'
      ? await kafkaTransport(config, agentId, names, logger)
      : rabbitmqTransport(config, agentId, names, capacity, logger);
  const outbox = createOutbox(transport, logger);
  let draining: Promise<void> | undefined;
  const drain = (why: string): Promise<void> =>
    (draining ??= (async () => {
      logger.info({ why }, 'takes nothing new');
      await presence.drain();
      await transport.stopTaking();
    })());
  lifecycle.onStop('tasks', async () => {
    await drain('the process stops');
    // What still runs at the end of the grace period is given to another agent by its lease.
    await slots.idle();
    await outbox.flush();
    await transport.close();
  });
  await transport.start({ slots, begin });

  async function begin({ task, traceparent }: Delivery, slot: Slot): Promise<void> {
    const id = `${task.planId}/${task.taskId}/${task.attempt}`;
    const report = (more: object): Promise<void> =>
      outbox.add({
        capability: task.capability,
        ...(traceparent !== undefined && { traceparent }),
        report: {
          planId: task.planId,
          taskId: task.taskId,
          attempt: task.attempt,
          agent: agentId,
          at: new Date().toISOString(),
          ...more,
        } as TaskReport,
      });
    if (running.has(id)) {
      slot.free();
      return;
    }
    const known = done.get(id);
    if (known) {
      slot.free();
      await report(known);
      return;
    }
    const abort = new AbortController();
    // A handler may have any number of calls under way.
    setMaxListeners(0, abort.signal);
    running.set(id, { task, abort });
    presence.began(task);
    const begun = report({ kind: 'started', heartbeatMs: task.heartbeatMs });
    const work = async (): Promise<void> => {
      const outcome = await perform(
        task,
        abort.signal,
        id,
        (message) => void report({ kind: 'progress', message: message.slice(0, 2000) }),
      );
      done.set(id, outcome);
      if (done.size > rememberAttempts) done.delete(done.keys().next().value ?? '');
      const sent = report(outcome);
      running.delete(id);
      slot.free();
      await sent;
    };
    // It works while the beginning is on its way; the bus keeps the order of the two.
    void work();
    await begun;
  }

  async function perform(
    task: TaskDispatch,
    signal: AbortSignal,
    id: string,
    progress: (message: string) => void,
  ): Promise<Outcome> {
    const capability = capabilities.find(({ name }) => name === task.capability);
    if (!capability)
      return {
        kind: 'failed',
        failure: { type: 'UnknownCapability', message: `${agentId} does not offer ${task.capability}` },
        retryable: true,
      };
    const folder = join(config.AATS_AGENT_DATA_DIR, 'work', agentId, id.replaceAll('/', '_'));
    let hasFolder = false;
    try {
      const work: Work = {
        planId: task.planId,
        idempotencyKey: `${task.planId}/${task.taskId}`,
        folder,
        signal,
        secrets: task.secrets ?? {},
        progress,
        keep: (document) => artifacts.put(document, signal),
        fetch: (reference, file) => artifacts.fetch(reference, file, signal),
      };
      if (capability.needsFolder !== false) {
        await rm(folder, { recursive: true, force: true });
        await mkdir(folder, { recursive: true, mode: 0o700 });
        hasFolder = true;
      }
      const output = await withTimeout(capability.run(task.arguments, work), signal);
      if (task.outputSchema) {
        const [problem] = validateValue(task.outputSchema, output);
        if (problem)
          return {
            kind: 'failed',
            failure: { type: 'OutputInvalid', message: `${problem.pointer} ${problem.message}`.trim() },
            retryable: true,
          };
      }
      const text = JSON.stringify(output);
      if (Buffer.byteLength(text) <= inlineLimitBytes) return { kind: 'succeeded', output };
      return {
        kind: 'succeeded',
        output: {
          ...(await artifacts.put(
            { name: 'output.json', mediaType: 'application/json', bytes: Buffer.from(text) },
            signal,
          )),
        },
      };
    } catch (error) {
      if (signal.aborted)
        return { kind: 'failed', failure: { type: 'Cancelled', message: 'it was told to stop' }, retryable: false };
      if (error instanceof TaskFailed)
        return { kind: 'failed', failure: { type: error.type, message: error.message }, retryable: error.retryable };
      logger.error({ err: error, task: id }, 'the handler broke');
      return {
        kind: 'failed',
        failure: {
          type: 'AgentFailed',
          message: error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'the handler broke',
        },
        retryable: true,
      };
    } finally {
      if (hasFolder) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

/** Ends with the work, or at once when it is told to stop: a handler that ignores its signal does not hold the slot. */
function withTimeout<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
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

const jsonSchema = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as unknown as JsonSchema;
