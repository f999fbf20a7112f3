import { z } from 'zod';
import { kafkaConfig } from '../../activities/buses/kafka';
import { rabbitmqConfig } from '../../activities/buses/rabbitmq';
import { redisConfig } from '../../activities/stores/redis';
import { address, port, temporalConfig, tlsConfig, tokenConfig } from '../runtime/config';

export const coordinatorConfig = z.object({
  ...temporalConfig.shape,
  ...tlsConfig.shape,
  ...tokenConfig.shape,
  ...kafkaConfig.shape,
  ...rabbitmqConfig.shape,
  ...redisConfig.shape,
  AATS_SCHEMA_REGISTRY_URL: z.url(),
  AATS_DATABASE_CONTROLLER_ADDRESS: address,
  AATS_GRPC_PORT: port.default(50062),
  AATS_REST_PORT: port.default(8092),
  /** How often agents are asked to send a sign of life. */
  AATS_AGENT_HEARTBEAT_MS: z.coerce.number().int().min(200).max(60_000).default(2000),
  /** Replicas of the topics that are made for capabilities. */
  AATS_KAFKA_REPLICATION: z.coerce.number().int().min(1).max(5).default(1),
});
export type CoordinatorConfig = z.output<typeof coordinatorConfig>;
