import { z } from 'zod';
import { readableFile } from '../../activities/readable-file';
import { postgresConfig } from '../../activities/stores/postgres';
import { redisConfig } from '../../activities/stores/redis';
import { address, port, streamConfig, tlsConfig } from '../runtime/config';

export const hitlConfig = z.object({
  ...tlsConfig.shape,
  ...postgresConfig.shape,
  ...redisConfig.shape,
  ...streamConfig.shape,
  AATS_PROJECT_MANAGER_ADDRESS: address,
  AATS_DATABASE_CONTROLLER_ADDRESS: address,
  AATS_COORDINATOR_ADDRESS: address,
  AATS_REST_PORT: port.default(8093),
  /** ES256 private key, PEM. */
  AATS_SIGNING_KEY_FILE: readableFile,
  /** Secret from which the key of the second factors is derived. */
  AATS_FACTOR_KEY_FILE: readableFile,
});
export type HitlConfig = z.output<typeof hitlConfig>;
