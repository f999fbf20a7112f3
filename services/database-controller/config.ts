import { z } from 'zod';
import { readableFile } from '../../activities/readable-file';
import { kafkaConfig } from '../../activities/buses/kafka';
import { mongoConfig } from '../../activities/stores/mongo';
import { neo4jConfig } from '../../activities/stores/neo4j';
import { port, streamConfig, tlsConfig, tokenConfig } from '../runtime/config';

export const databaseControllerConfig = z.object({
  ...mongoConfig.shape,
  ...neo4jConfig.shape,
  ...kafkaConfig.shape,
  ...tlsConfig.shape,
  ...tokenConfig.shape,
  ...streamConfig.shape,
  AATS_GRPC_PORT: port.default(50061),
  AATS_REST_PORT: port.default(8091),
  AATS_POSTGRES_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  AATS_POSTGRES_PASSWORD_FILE: readableFile.optional(),
  AATS_REDIS_NODES: z.string().regex(/^[^:,\s]+:\d+(,[^:,\s]+:\d+)*$/, 'must be host:port, separated by commas'),
  AATS_REDIS_USER: z.string().min(1).optional(),
  AATS_REDIS_PASSWORD_FILE: readableFile.optional(),
  /** Uploads that were begun longer ago and never ended are removed. */
  AATS_UPLOAD_MAX_AGE_HOURS: z.coerce.number().positive().default(24),
});
export type DatabaseControllerConfig = z.output<typeof databaseControllerConfig>;
