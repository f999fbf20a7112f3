import type { Producer } from 'kafkajs';
import { failure } from '../../workflows/contracts/failures';
import { exchanges, queues, topics, type TaskDispatch, type Transport } from '../../workflows/contracts/messages';
import type { Publication, Publisher } from '../plan';
import { attemptId, cloudEvent, contentType, traceparentOf } from './cloud-event';
import { acknowledgedByAll, impatientTimeoutMs } from './kafka';
import { within } from '../within';
import { publishConfirmed, type RabbitMq } from './rabbitmq';

/** How tasks of a capability travel; also makes sure that the way is there. */
export type ResolveRoutes = (capabilities: readonly string[]) => Promise<ReadonlyMap<string, Transport>>;
export type CancelAttempts = (attempts: Publication['cancels']) => Promise<void>;

const source = 'aats/plans';

/**
 * The way of plans to the buses. Everything of one publication leaves at the same time; it counts once all of it was
 * acknowledged, so a repetition sends all again and readers drop what they know by event id.
 */
export function createTaskPublisher(options: {
  readonly producer: Producer;
  readonly rabbitmq: RabbitMq;
  readonly resolveRoutes: ResolveRoutes;
  readonly cancelAttempts: CancelAttempts;
}): Publisher {
  const { producer, rabbitmq, resolveRoutes, cancelAttempts } = options;
  return {
    async publish({ planId, tasks, cancels, changes }) {
      const routes = await resolveRoutes([...new Set(tasks.map(({ capability }) => capability))]);
      const byQueue = tasks.filter(({ capability }) => routes.get(capability) === 'rabbitmq');
      const byTopic = tasks.filter(({ capability }) => routes.get(capability) !== 'rabbitmq');
      const events = byTopic.map((task) => ({
        topic: topics.tasks(task.capability),
        messages: [{ key: attemptId(task), value: JSON.stringify(taskEvent(task)) }],
      }));
      const topicMessages = merge(events);
      if (changes.length > 0) {
        topicMessages.push({
          topic: topics.plans,
          messages: changes.map((change) => ({
            key: planId,
            value: JSON.stringify(
              cloudEvent('planChanged', {
                source,
                id: `${planId}/${change.cursor}`,
                subject: planId,
                traceparent: traceparentOf(planId, `change ${change.cursor}`),
                data: change,
              }),
            ),
          })),
        });
      }
      try {
        await Promise.all([
          topicMessages.length > 0
            ? within(
                impatientTimeoutMs,
                producer.sendBatch({ acks: acknowledgedByAll, timeout: impatientTimeoutMs, topicMessages }),
                'Kafka did not confirm in time',
              )
            : undefined,
          byQueue.length > 0 ? toQueues(rabbitmq, byQueue) : undefined,
          cancels.length > 0 ? cancelAttempts(cancels) : undefined,
        ]);
      } catch (error) {
        throw failure('BusUnavailable', error instanceof Error ? error.message : 'the bus does not answer', {
          ...(error instanceof Error && { cause: error }),
        });
      }
    },
  };
}

const taskEvent = (task: TaskDispatch) =>
  cloudEvent('taskDispatched', {
    source,
    id: attemptId(task),
    subject: task.planId,
    traceparent: traceparentOf(task.planId, attemptId(task)),
    data: task,
  });

async function toQueues(rabbitmq: RabbitMq, tasks: readonly TaskDispatch[]): Promise<void> {
  const channel = await rabbitmq.publisher(impatientTimeoutMs);
  const sends = tasks.map((task) => {
    const event = taskEvent(task);
    return publishConfirmed(
      channel,
      exchanges.direct,
      queues.tasks(task.capability),
      Buffer.from(JSON.stringify(event)),
      { messageId: event.id, contentType, type: event.type },
    );
  });
  await within(impatientTimeoutMs, Promise.all(sends), 'RabbitMQ did not confirm in time');
}

interface TopicMessages {
  readonly topic: string;
  readonly messages: { key: string; value: string }[];
}
function merge(parts: readonly TopicMessages[]): TopicMessages[] {
  const byTopic = new Map<string, TopicMessages>();
  for (const { topic, messages } of parts) {
    const known = byTopic.get(topic);
    if (known) known.messages.push(...messages);
    else byTopic.set(topic, { topic, messages: [...messages] });
  }
  return [...byTopic.values()];
}
