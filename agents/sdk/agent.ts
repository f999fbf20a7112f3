import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Artifacts } from '../../proto/aats/data/v1/data_pb';
import { createGrpcClient } from '../../services/runtime/grpc-client';
import type { Lifecycle } from '../../services/runtime/shutdown';
import { clientCredentials, readTls } from '../../services/runtime/tls';
import type { JsonSchema } from '../../workflows/contracts/json';
import type { TaskDispatch, TaskReport, Transport } from '../../workflows/contracts/messages';
import { createArtifactClient } from '../artifact-client';
import type { Capability } from '../work';
import type { AgentConfig } from './agent-config';
import { keepPresent } from './heartbeat';
import { kafkaTransport } from './kafka-transport';
import { createOutbox } from './outbox';
import { type Outcome, perform } from './perform';
import { rabbitmqTransport } from './rabbitmq-transport';
import { createSlots, type Slot } from './slots';
import type { Delivery } from './transport';
import { emptyWorkFolder } from './work-folder';

export interface AgentOptions {
  readonly agentId: string;
  readonly transport: Transport;
  /** Tasks at once. */
  readonly capacity: number;
  readonly capabilities: readonly Capability[];
  readonly config: AgentConfig;
}
/** Of so young a task the coordinator is not asked before it begins: that would cost each layer of a plan a round trip. */
export const freshMs = 250;
const rememberAttempts = 5000;

/**
 * Runs an agent until the process stops: registers, takes tasks while it has free slots, runs their handlers, and
 * reports. A task that comes twice runs once and its kept result is reported again. The same handlers run over either bus.
 */
export async function runAgent(options: AgentOptions, lifecycle: Lifecycle): Promise<void> {
  const { agentId, capacity, capabilities, config } = options;
  const { logger } = lifecycle;
  const names = capabilities.map(({ name }) => name);
  const folders = await emptyWorkFolder(config.AATS_AGENT_DATA_DIR, agentId);
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
      instance: randomUUID(),
      transport: options.transport,
      capacity,
      capabilities: capabilities.map(({ name, description, input, output }) => ({
        name,
        description,
        input: jsonSchema(input, 'input'),
        output: jsonSchema(output, 'output'),
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

  async function begin({ task, sentAt, traceparent }: Delivery, slot: Slot): Promise<void> {
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
    // It may have been cancelled while it waited on the bus; one that has just come is told soon enough as it runs.
    if (Date.now() - sentAt < freshMs) presence.began(task);
    else await presence.checkIn();
    const begun = abort.signal.aborted ? undefined : report({ kind: 'started', heartbeatMs: task.heartbeatMs });
    const work = async (): Promise<void> => {
      const outcome = await perform({
        task,
        capability: capabilities.find(({ name }) => name === task.capability),
        folder: join(folders, id.replaceAll('/', '_')),
        signal: abort.signal,
        artifacts,
        log: logger.child({ plan: task.planId, task: task.taskId, attempt: task.attempt, traceparent }),
        progress: (more) => void report({ kind: 'progress', ...more }),
      });
      done.set(id, outcome);
      if (done.size > rememberAttempts) done.delete(done.keys().next().value ?? '');
      const sent = report(outcome);
      running.delete(id);
      slot.free();
      await sent;
    };
    // It works while the beginning is on its way; the bus keeps the order of the two.
    const ended = work();
    await (begun ?? ended);
  }
}

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema =>
  z.toJSONSchema(schema, { unrepresentable: 'any', io }) as unknown as JsonSchema;
