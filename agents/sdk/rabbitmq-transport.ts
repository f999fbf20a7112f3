import { cloudEvent, contentType, readEvent } from '../../activities/buses/cloud-event';
import { createRabbitMq, publishConfirmed, type RabbitMqConfig } from '../../activities/buses/rabbitmq';
import type { Logger } from '../../services/runtime/logger';
import { exchanges, queues } from '../../workflows/contracts/messages';
import type { AgentTransport } from './transport';

/** RabbitMQ: a queue a capability; unacknowledged tasks of an agent that dies go to the others. */
export function rabbitmqTransport(
  config: RabbitMqConfig,
  agentId: string,
  capabilities: readonly string[],
  capacity: number,
  logger: Logger,
): AgentTransport {
  const rabbitmq = createRabbitMq(config, (message, details) => {
    logger.debug(details, message);
  });
  const stops: (() => Promise<void>)[] = [];
  return {
    async start(take) {
      for (const capability of capabilities) {
        stops.push(
          rabbitmq.consume(async (channel) => {
            await channel.prefetch(capacity);
            await channel.consume(queues.tasks(capability), (message) => {
              if (!message) return;
              let delivery: Parameters<typeof take>[0];
              try {
                const event = readEvent(message.content, ['taskDispatched']);
                delivery = {
                  task: event.data,
                  ...(event.traceparent !== undefined && { traceparent: event.traceparent }),
                };
              } catch (error) {
                logger.warn({ err: error }, 'a message that is no task goes to the dead letters');
                channel.nack(message, false, false);
                return;
              }
              take(delivery)
                .then(
                  () => {
                    channel.ack(message);
                  },
                  () => {
                    channel.nack(message, false, true);
                  },
                )
                .catch(() => undefined); // the channel closed: the broker sends it again
            });
          }),
        );
      }
      return Promise.resolve();
    },
    async report(reports) {
      const channel = await rabbitmq.publisher();
      await Promise.all(
        reports.map(({ capability, report, traceparent }) => {
          const event = cloudEvent('taskReported', {
            source: `aats/agent/${agentId}`,
            subject: report.planId,
            ...(traceparent !== undefined && { traceparent }),
            data: report,
          });
          return publishConfirmed(
            channel,
            exchanges.topic,
            `responses.${capability}`,
            Buffer.from(JSON.stringify(event)),
            { messageId: event.id, contentType, type: event.type },
          );
        }),
      );
    },
    stopTaking: async () => void (await Promise.all(stops.map((stop) => stop()))),
    close: () => rabbitmq.close(),
  };
}
