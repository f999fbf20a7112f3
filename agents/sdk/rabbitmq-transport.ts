import type { Channel, ConsumeMessage } from 'amqplib';
import { cloudEvent, contentType, readEvent } from '../../activities/buses/cloud-event';
import { createRabbitMq, publishConfirmed, type RabbitMqConfig } from '../../activities/buses/rabbitmq';
import type { Logger } from '../../services/runtime/logger';
import { exchanges, queues } from '../../workflows/contracts/messages';
import type { AgentTransport, Delivery, Intake } from './transport';

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
  const stopped = new AbortController();
  const stops: (() => Promise<void>)[] = [];
  return {
    start(intake) {
      for (const capability of capabilities) {
        stops.push(
          rabbitmq.consume(async (channel) => {
            const closed = new AbortController();
            channel.once('close', () => {
              closed.abort();
            });
            const ended = AbortSignal.any([stopped.signal, closed.signal]);
            await channel.prefetch(capacity);
            await channel.consume(queues.tasks(capability), (message) => {
              if (message) void takeTask(channel, message, intake, ended, logger);
              // The broker ended the consumer (its queue went away or moved): a fresh channel begins another.
              else void channel.close().catch(() => undefined);
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
    async stopTaking() {
      stopped.abort();
      await Promise.all(stops.map((stop) => stop()));
    },
    close: () => rabbitmq.close(),
  };
}

/** Acknowledges once the task has begun. When the channel closes before, the broker gives the message to somebody else. */
async function takeTask(
  channel: Channel,
  message: ConsumeMessage,
  { slots, begin }: Intake,
  ended: AbortSignal,
  logger: Logger,
): Promise<void> {
  let delivery: Delivery;
  try {
    const { data, time, traceparent } = readEvent(message.content, ['taskDispatched']);
    delivery = { task: data, sentAt: Date.parse(time), ...(traceparent !== undefined && { traceparent }) };
  } catch (error) {
    logger.warn({ err: error }, 'a message that is no task goes to the dead letters');
    settled(() => {
      channel.nack(message, false, false);
    });
    return;
  }
  const slot = slots.now() ?? (await slots.next(ended));
  if (!slot || ended.aborted) {
    slot?.free();
    return;
  }
  await begin(delivery, slot);
  settled(() => {
    channel.ack(message);
  });
}

/** A channel that closed meanwhile throws; the broker sends its messages again, and repeats are known by their id. */
function settled(answer: () => void): void {
  try {
    answer();
  } catch {
    return;
  }
}
