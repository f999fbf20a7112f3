import { within } from '../../activities/within';
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

/** A task does not wait longer than this to learn whether it is still wanted. */
const answersWithinMs = 2000;

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
  /**
   * Asks about all that runs now: what was cancelled has been told to stop when this resolves. Resolves without an
   * answer too, after a while: an agent goes on while the coordinator is away.
   */
  checkIn(): Promise<void>;
  /** A task has begun: the next sign of life may be due sooner. */
  began(task: TaskDispatch): void;
  drain(): Promise<void>;
  stop(): Promise<void>;
}> {
  let period = 2000;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let dueAt = 0;
  let last: Promise<void> = Promise.resolve();
  /** The next sign of life when one is under way: all that comes meanwhile is in it. */
  let waiting: Promise<void> | undefined;

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
  };
  const beatOrRegister = async (): Promise<void> => {
    try {
      await beat().catch(async (error: unknown) => {
        if (!(error instanceof ServiceFailure) || error.type !== 'AgentNotFound') throw error;
        await register();
        await beat();
      });
    } catch (error) {
      logger.warn({ err: error }, 'a sign of life was not heard');
    }
  };
  // Two missed ones end an attempt: three in the time of one leave room for a lost call.
  const pauseFor = ({ heartbeatMs }: TaskDispatch): number => Math.max(100, heartbeatMs / 3);
  /** One at a time. */
  const beatNow = (): Promise<void> =>
    (waiting ??= last =
      last.then(async () => {
        waiting = undefined;
        clearTimeout(timer);
        if (!stopped) await beatOrRegister();
        beatLater();
      }));
  const beatLater = (): void => {
    if (stopped) return;
    clearTimeout(timer);
    const pause = Math.min(period, ...running().map(pauseFor));
    dueAt = Date.now() + pause;
    timer = setTimeout(() => void beatNow(), pause);
  };
  await register();
  beatLater();
  return {
    checkIn: () =>
      within(answersWithinMs, beatNow(), 'the coordinator does not answer').catch((error: unknown) => {
        logger.warn({ err: error }, 'begins without knowing whether it is still wanted');
      }),
    began(task) {
      if (dueAt > Date.now() + pauseFor(task)) beatLater();
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
