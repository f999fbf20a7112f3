import type { CancelAttempts, ResolveRoutes } from '../activities/buses/task-publisher';
import { CommunicationCoordinator } from '../proto/aats/communication/v1/communication_pb';
import type { GrpcClient } from '../services/runtime/grpc-client';
import type { Transport } from '../workflows/contracts/messages';

const askAgainMs = 1000;
const timeoutMs = 1500;

/**
 * Transports of capabilities from the coordinator, asked for at most once a second: agents of the other bus may take a
 * capability over. While the coordinator is away, what it said last holds.
 */
export function createRoutes(coordinator: GrpcClient<typeof CommunicationCoordinator>): {
  readonly resolve: ResolveRoutes;
  readonly cancel: CancelAttempts;
} {
  const known = new Map<string, { readonly transport: Transport; readonly until: number }>();
  return {
    async resolve(capabilities) {
      const due = capabilities.filter((name) => (known.get(name)?.until ?? 0) < Date.now());
      if (due.length > 0) {
        try {
          const { transports } = await coordinator.resolveRoutes({ capabilities: due }, { timeoutMs });
          for (const name of due) {
            const transport: Transport = transports[name] === 'rabbitmq' ? 'rabbitmq' : 'kafka';
            known.set(name, { transport, until: Date.now() + askAgainMs });
          }
        } catch (error) {
          for (const name of due) {
            const last = known.get(name);
            if (!last) throw error;
            known.set(name, { ...last, until: Date.now() + askAgainMs });
          }
        }
      }
      return new Map(capabilities.map((name) => [name, known.get(name)?.transport ?? 'kafka']));
    },
    async cancel(attempts) {
      await coordinator.cancelAttempts({ attempts: attempts.map((one) => ({ ...one })) }, { timeoutMs });
    },
  };
}
