import { readFileSync } from 'node:fs';
import { Kafka, logLevel, type LogEntry, type Producer } from 'kafkajs';
import { z } from 'zod';
import { readableFile } from '../readable-file';

/** Fragment for processes that speak Kafka: SASL/SCRAM-SHA-512 over TLS (specification, Kafka Configuration). */
export const kafkaConfig = z.object({
  AATS_KAFKA_BROKERS: z.string().min(1),
  AATS_KAFKA_USER: z.string().min(1),
  AATS_KAFKA_PASSWORD_FILE: readableFile,
  AATS_SERVERS_CA_FILE: readableFile,
});
export type KafkaConfig = z.output<typeof kafkaConfig>;
/** Where the client's warnings go; it calls many things an error that it then tries again. */
export type KafkaLog = (message: string, details: object) => void;

export function createKafka(config: KafkaConfig, clientId: string, log: KafkaLog = () => undefined): Kafka {
  return new Kafka({
    clientId,
    brokers: config.AATS_KAFKA_BROKERS.split(','),
    ssl: { ca: [readFileSync(config.AATS_SERVERS_CA_FILE, 'utf8')], minVersion: 'TLSv1.3' },
    sasl: {
      mechanism: 'scram-sha-512',
      username: config.AATS_KAFKA_USER,
      password: readFileSync(config.AATS_KAFKA_PASSWORD_FILE, 'utf8').trimEnd(),
    },
    // A broker that starts again on a busy machine has handshakes of all its clients to do: giving up early makes it more.
    connectionTimeout: 6000,
    requestTimeout: 10_000,
    retry: { initialRetryTime: 100, maxRetryTime: 3000, retries: 8 },
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ log: { message, ...details } }: LogEntry) => {
        log(message, details);
      },
  });
}

/**
 * At least once, and readers drop repeats by event id: kafkajs' idempotent producer loses acknowledged messages over a
 * leader crash (measured).
 */
export const createProducer = (kafka: Kafka): Producer =>
  kafka.producer({ idempotent: false, allowAutoTopicCreation: false, maxInFlightRequests: 8 });
/** All in-sync replicas have it. */
export const acknowledgedByAll = -1;

/** A producer for the dispatch of plans: gives up within two seconds, since the workflow tries again by itself. */
export const createImpatientProducer = (kafka: Kafka): Producer =>
  kafka.producer({
    idempotent: false,
    allowAutoTopicCreation: false,
    maxInFlightRequests: 8,
    retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 3 },
  });
export const impatientTimeoutMs = 1500;
