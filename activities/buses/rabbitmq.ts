import { readFileSync } from 'node:fs';
import { connect, type Channel, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { z } from 'zod';
import { readableFile } from '../readable-file';
import { within } from '../within';

/** Fragment for processes that speak AMQP: user name and password over TLS (specification, RabbitMQ Configuration). */
export const rabbitmqConfig = z.object({
  AATS_RABBITMQ_URL: z.url({ protocol: /^amqps$/ }),
  AATS_RABBITMQ_PASSWORD_FILE: readableFile,
  AATS_SERVERS_CA_FILE: readableFile,
});
export type RabbitMqConfig = z.output<typeof rabbitmqConfig>;

export interface RabbitMq {
  /** The confirm channel of the connection that stands now; makes one within `timeoutMs`, or rejects. */
  publisher(timeoutMs?: number): Promise<ConfirmChannel>;
  /**
   * Keeps a consumer alive: `setUp` is called with a fresh channel now and after each break, for ever, with a growing
   * pause. Gives the function that ends it.
   */
  consume(setUp: (channel: Channel) => Promise<unknown>): () => Promise<void>;
  /** Messages that nobody has taken from a queue; the queue must exist. */
  messageCount(queue: string): Promise<number>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export function createRabbitMq(
  config: RabbitMqConfig,
  log: (message: string, details: object) => void = () => undefined,
): RabbitMq {
  const url = new URL(config.AATS_RABBITMQ_URL);
  url.password = encodeURIComponent(readFileSync(config.AATS_RABBITMQ_PASSWORD_FILE, 'utf8').trimEnd());
  url.searchParams.set('heartbeat', '10');
  const ca = [readFileSync(config.AATS_SERVERS_CA_FILE)];
  let connection: Promise<ChannelModel> | undefined;
  let channel: Promise<ConfirmChannel> | undefined;
  let closed = false;

  const connected = (): Promise<ChannelModel> =>
    (connection ??= (async () => {
      const made = await connect(url.toString(), { ca, minVersion: 'TLSv1.3', timeout: 3000 });
      const forget = (): void => {
        connection = channel = undefined;
      };
      made.on('error', (error: Error) => {
        log('connection broke', { error: error.message });
      });
      made.on('close', forget);
      return made;
    })().catch((error: unknown) => {
      connection = undefined;
      throw error;
    }));
  const publisher = (): Promise<ConfirmChannel> =>
    (channel ??= (async () => {
      const made = await (await connected()).createConfirmChannel();
      made.on('error', (error: Error) => {
        log('channel broke', { error: error.message });
      });
      made.on('close', () => {
        channel = undefined;
      });
      return made;
    })().catch((error: unknown) => {
      channel = undefined;
      throw error;
    }));

  return {
    publisher: (timeoutMs = 5000) => within(timeoutMs, publisher(), 'RabbitMQ does not answer'),
    consume(setUp) {
      let ended = false;
      let current: Channel | undefined;
      let failures = 0;
      const run = async (): Promise<void> => {
        if (ended || closed) return;
        const again = (): void => {
          current = undefined;
          if (!ended && !closed) setTimeout(() => void run(), Math.min(5000, 100 * 2 ** Math.min(failures, 6))).unref();
        };
        try {
          const made = await (await connected()).createChannel();
          current = made;
          made.on('error', (error: Error) => {
            log('consumer broke', { error: error.message });
          });
          made.once('close', again);
          await setUp(made);
          failures = 0;
        } catch (error) {
          failures += 1;
          log('consumer could not be set up', { error: error instanceof Error ? error.message : String(error) });
          if (current) await current.close().catch(() => undefined);
          else again();
        }
      };
      void run();
      return async () => {
        ended = true;
        await current?.close().catch(() => undefined);
      };
    },
    async messageCount(queue) {
      // A queue that is not there closes the channel: not that of everything else.
      const made = await (await connected()).createChannel();
      made.on('error', () => undefined);
      try {
        return (await made.checkQueue(queue)).messageCount;
      } finally {
        await made.close().catch(() => undefined);
      }
    },
    async ping() {
      await (await publisher()).checkExchange('agent.direct');
    },
    async close() {
      closed = true;
      await (await connection?.catch(() => undefined))?.close().catch(() => undefined);
    },
  };
}

/** Publishes and resolves once the broker has confirmed; rejects when it refused or the channel broke. */
export function publishConfirmed(
  channel: ConfirmChannel,
  exchange: string,
  key: string,
  body: Buffer,
  options: { readonly messageId: string; readonly contentType: string; readonly type: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    // The client also calls back, with an error, for what is unconfirmed when its channel closes.
    channel.publish(exchange, key, body, { ...options, persistent: true }, (error: unknown) => {
      if (error) reject(error instanceof Error ? error : new Error('the broker refused the message'));
      else resolve();
    });
  });
}
