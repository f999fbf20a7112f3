import { z } from 'zod';
import { kafkaConfig } from '../activities/buses/kafka';
import { rabbitmqConfig } from '../activities/buses/rabbitmq';
import { mongoConfig } from '../activities/stores/mongo';
import { address, port, temporalConfig, tlsConfig, tokenConfig } from '../services/runtime/config';

const worker = z.object({
  ...temporalConfig.shape,
  ...tlsConfig.shape,
  ...tokenConfig.shape,
  AATS_METRICS_PORT: port.default(8094),
});
export type WorkerConfig = z.output<typeof worker>;
/** Queues `plans` and `bus`: an identity that may publish and nothing else. */
export const busWorkerConfig = z.object({
  ...worker.shape,
  ...kafkaConfig.shape,
  ...rabbitmqConfig.shape,
  AATS_COORDINATOR_ADDRESS: address,
});
/** Queue `data`: the artifact store. */
export const dataWorkerConfig = z.object({ ...worker.shape, ...mongoConfig.shape });
