import { z } from 'zod';
import { kafkaConfig } from '../../activities/buses/kafka';
import { rabbitmqConfig } from '../../activities/buses/rabbitmq';
import { address, tlsConfig } from '../../services/runtime/config';

/** What an agent process is given: its certificate, the buses, and where coordinator and artifacts are. */
export const agentConfig = z.object({
  ...tlsConfig.shape,
  ...kafkaConfig.shape,
  ...rabbitmqConfig.shape,
  AATS_COORDINATOR_ADDRESS: address,
  AATS_DATABASE_CONTROLLER_ADDRESS: address,
  /** Folder for the work of attempts; each gets an empty one of its own. */
  AATS_AGENT_DATA_DIR: z.string().startsWith('/'),
});
export type AgentConfig = z.output<typeof agentConfig>;
