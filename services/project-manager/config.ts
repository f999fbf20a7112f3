import { z } from 'zod';
import { kafkaConfig } from '../../activities/buses/kafka';
import { postgresConfig } from '../../activities/stores/postgres';
import { address, port, streamConfig, temporalConfig, tlsConfig, tokenConfig } from '../runtime/config';

export const projectManagerConfig = z.object({
  ...temporalConfig.shape,
  ...tlsConfig.shape,
  ...tokenConfig.shape,
  ...streamConfig.shape,
  ...kafkaConfig.shape,
  ...postgresConfig.shape,
  AATS_COORDINATOR_ADDRESS: address,
  AATS_GRPC_PORT: port.default(50060),
  AATS_REST_PORT: port.default(8090),
});
export type ProjectManagerConfig = z.output<typeof projectManagerConfig>;
