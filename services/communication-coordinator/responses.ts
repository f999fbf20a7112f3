import type { RabbitMq } from '../../activities/buses/rabbitmq';
import { queues } from '../../workflows/contracts/messages';
import type { Logger } from '../runtime/logger';
import type { Message } from './report-intake';

const takenTogether = 500;
const longestPauseMs = 5000;

/**
 * Takes the responses of agents on RabbitMQ, each acknowledged once it was taken; gives the function that ends it. What
 * cannot be taken now is tried again here: given back, it would count as a failed delivery, and enough of those make a
 * sound report a dead letter.
 */
export function consumeResponses(
  rabbitmq: RabbitMq,
  take: (messages: readonly Message[]) => Promise<void>,
  logger: Logger,
): () => Promise<void> {
  return rabbitmq.consume(async (channel) => {
    const closed = new AbortController();
    channel.once('close', () => {
      closed.abort();
    });
    const takeOne = async (value: Buffer): Promise<void> => {
      for (let pause = 250; !closed.signal.aborted; pause = Math.min(longestPauseMs, pause * 2)) {
        try {
          await take([{ value, from: queues.responses }]);
          return;
        } catch (error) {
          logger.warn({ err: error }, 'a response could not be taken; tried again');
          await new Promise((resolve) => setTimeout(resolve, pause));
        }
      }
    };
    await channel.prefetch(takenTogether);
    await channel.consume(queues.responses, (message) => {
      if (!message) return;
      void takeOne(message.content).then(() => {
        // On a channel that is gone nothing is acknowledged: the broker sends it again.
        if (!closed.signal.aborted) channel.ack(message);
      });
    });
  });
}
