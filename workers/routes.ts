import type { CancelAttempts, ResolveRoutes } from '../activities/buses/task-publisher';
import { CommunicationCoordinator } from '../proto/aats/communication/v1/communication_pb';
import type { GrpcClient } from '../services/runtime/grpc-client';
import type { Transport } from '../workflows/contracts/messages';

const askAgainMs = 1000;
const timeoutMs = 1500;

/**
 * Transports of capabilities from the coordinator. One that is known never changes while agents serve it and is kept
 * for ever; one that nobody has offered yet is asked for again, at most once a second.
 */
export function createRoutes(coordinator: GrpcClient<typeof CommunicationCoordinator>): {
  readonly resolve: ResolveRoutes;
  readonly cancel: CancelAttempts;
} {
  const known = new Map<string, Transport>();
  const guessed = new Map<string, { readonly transport: Transport; readonly until: number }>();
  return {
    async resolve(capabilities) {
      const unknown = capabilities.filter((name) => !known.has(name) && (guessed.get(name)?.until ?? 0) < Date.now());
      if (unknown.length > 0) {
        const answer = await coordinator.resolveRoutes({ capabilities: unknown }, { timeoutMs });
        for (const name of unknown) {
          const transport: Transport = answer.transports[name] === 'rabbitmq' ? 'rabbitmq' : 'kafka';
          if (answer.known.includes(name)) known.set(name, transport);
          else guessed.set(name, { transport, until: Date.now() + askAgainMs });
        }
      }
      return new Map(capabilities.map((name) => [name, known.get(name) ?? guessed.get(name)?.transport ?? 'kafka']));
    },
    async cancel(attempts) {
      await coordinator.cancelAttempts({ attempts: attempts.map((one) => ({ ...one })) }, { timeoutMs });
    },
  };
}
