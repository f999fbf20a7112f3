import type { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { ServiceFailure } from '../../services/runtime/failure-status';
import type { GrpcClient } from '../../services/runtime/grpc-client';
import type { Logger } from '../../services/runtime/logger';
import type { JsonObject } from '@bufbuild/protobuf';
import type { AgentRegistration, TaskDispatch } from '../../workflows/contracts/messages';

export interface PresenceOptions {
  readonly coordinator: GrpcClient<typeof CommunicationCoordinator>;
  readonly registration: AgentRegistration;
  readonly running: () => readonly TaskDispatch[];
  readonly onCancel: (attemptId: string) => void;
  readonly onDrain: () => void;
  readonly logger: Logger;
}

const duration = (milliseconds: number) => ({
  seconds: BigInt(Math.floor(milliseconds / 1000)),
  nanos: (milliseconds % 1000) * 1_000_000,
});

/**
 * Keeps the agent known: registers, for as long as it takes, and then sends signs of life for itself and for what it
 * runs, as often as the quickest of its tasks asks. A coordinator that was restarted is registered with again.
 */
export async function keepPresent({
  coordinator,
  registration,
  running,
  onCancel,
  onDrain,
  logger,
}: PresenceOptions): Promise<{
  /** A task has begun: the next sign of life may be due sooner. */
  began(task: TaskDispatch): void;
  drain(): Promise<void>;
  stop(): Promise<void>;
}> {
  let period = 2000;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  /** Of the next sign of life; none while one is under way. */
  let dueAt: number | undefined;

  const register = async (): Promise<void> => {
    for (let pause = 200; !stopped; pause = Math.min(5000, pause * 2)) {
      try {
        const { heartbeat } = await coordinator.registerAgent(
          {
            ...registration,
            capabilities: registration.capabilities.map(({ name, description = '', input, output }) => ({
              name,
              description,
              ...(input && { input: input as JsonObject }),
              ...(output && { output: output as JsonObject }),
            })),
          },
          { timeoutMs: 10_000 },
        );
        period = Number(heartbeat?.seconds ?? 2n) * 1000 + (heartbeat?.nanos ?? 0) / 1e6;
        logger.info({ agentId: registration.agentId }, 'registered');
        return;
      } catch (error) {
        if (error instanceof ServiceFailure && (error.type === 'InvalidInput' || error.type === 'PermissionDenied'))
          throw error;
        logger.warn({ err: error }, 'not registered yet; tried again');
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  };
  const beat = async (): Promise<void> => {
    const tasks = running();
    try {
      const answer = await coordinator.heartbeat(
        {
          agentId: registration.agentId,
          running: tasks.map(({ planId, taskId, attempt, heartbeatMs }) => ({
            attempt: { planId, taskId, attempt },
            heartbeat: duration(heartbeatMs),
          })),
        },
        { timeoutMs: 5000 },
      );
      for (const { planId, taskId, attempt } of answer.cancel) onCancel(`${planId}/${taskId}/${attempt}`);
      if (answer.drain) onDrain();
    } catch (error) {
      if (error instanceof ServiceFailure && error.type === 'AgentNotFound') await register();
      else logger.warn({ err: error }, 'a sign of life was not heard');
    }
  };
  // Two missed ones end an attempt: three in the time of one leave room for a lost call.
  const pauseFor = ({ heartbeatMs }: TaskDispatch): number => Math.max(100, heartbeatMs / 3);
  const beatAfter = (pause: number): void => {
    if (stopped) return;
    clearTimeout(timer);
    dueAt = Date.now() + pause;
    timer = setTimeout(() => {
      dueAt = undefined;
      void beat().finally(next);
    }, pause);
  };
  const next = (): void => {
    beatAfter(Math.min(period, ...running().map(pauseFor)));
  };
  await register();
  next();
  return {
    began(task) {
      const pause = pauseFor(task);
      if (dueAt !== undefined && dueAt > Date.now() + pause) beatAfter(pause);
    },
    drain: async () =>
      void (await coordinator
        .drainAgent({ agentId: registration.agentId }, { timeoutMs: 3000 })
        .catch(() => undefined)),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      return Promise.resolve();
    },
  };
}
