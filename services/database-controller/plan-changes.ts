import { readFileSync } from 'node:fs';
import { Kafka, logLevel, type Consumer } from 'kafkajs';
import { readSecretFile } from '../runtime/config';
import type { DatabaseControllerConfig } from './config';

/** A consumer of the group `lineage`, over TLS with SCRAM; it tries for ever, as the graph can wait. */
export function planChangesConsumer(config: DatabaseControllerConfig, groupId = 'lineage'): Consumer {
  const { AATS_KAFKA_BROKERS, AATS_KAFKA_USER, AATS_KAFKA_PASSWORD_FILE, AATS_CA_FILE } = config;
  const kafka = new Kafka({
    clientId: 'database-controller',
    brokers: AATS_KAFKA_BROKERS.split(','),
    logLevel: logLevel.NOTHING,
    ssl: { ca: [readFileSync(AATS_CA_FILE)] },
    ...(AATS_KAFKA_USER &&
      AATS_KAFKA_PASSWORD_FILE && {
        sasl: {
          mechanism: 'scram-sha-512' as const,
          username: AATS_KAFKA_USER,
          password: readSecretFile(AATS_KAFKA_PASSWORD_FILE),
        },
      }),
    retry: { initialRetryTime: 300, maxRetryTime: 10_000, retries: Number.MAX_SAFE_INTEGER },
  });
  return kafka.consumer({ groupId });
}
