import { createKafka } from '../../activities/buses/kafka';
import type { TopicReader } from '../../activities/buses/kafka-reader';
import { createArtifactStore } from '../../activities/stores/artifact-store';
import { createLineage } from '../../activities/stores/lineage';
import { openMongo } from '../../activities/stores/mongo';
import { openNeo4j } from '../../activities/stores/neo4j';
import { Artifacts, DatabaseController, Lineage } from '../../proto/aats/data/v1/data_pb';
import { implement, startGrpcServer } from '../runtime/grpc';
import { createHealth } from '../runtime/health';
import { createRestApp, startHttpsServer } from '../runtime/http';
import { createIdentities } from '../runtime/identity';
import { createMetrics } from '../runtime/metrics';
import type { Lifecycle } from '../runtime/shutdown';
import { readTls } from '../runtime/tls';
import { createArtifactHandlers } from './artifact-handlers';
import type { DatabaseControllerConfig } from './config';
import { createHealthHandlers, createLineageHandlers } from './handlers';
import { readLineage } from './lineage-feed';
import { openapi } from './openapi';
import { addRoutes } from './routes';
import { postgresProbe, redisProbe } from './store-probes';

const sweepEveryMs = 60 * 60_000;
const graceSeconds = 10;

/**
 * Starts the facade of the stores. It comes up also while a store is away, says so by its health, and serves what it
 * can; the lineage feed begins once Neo4j has its constraints.
 */
export async function startDatabaseController(
  config: DatabaseControllerConfig,
  lifecycle: Lifecycle,
): Promise<{ readonly grpcPort: number; readonly restPort: number }> {
  const { logger } = lifecycle;
  const tls = readTls(config);
  const [mongo, neo4j] = await Promise.all([openMongo(config), openNeo4j(config)]);
  lifecycle.onStop('MongoDB', mongo.close);
  lifecycle.onStop('Neo4j', neo4j.close);
  const [postgres, redis] = [postgresProbe(config), redisProbe(config)];
  lifecycle.onStop('PostgreSQL', postgres.close);

  const artifacts = createArtifactStore(mongo.db);
  const lineage = createLineage(neo4j.driver);
  const health = createHealth({
    postgresql: postgres.check,
    mongodb: mongo.ping,
    neo4j: neo4j.ping,
    redis: redis.check,
  });
  const identities = createIdentities({ jwksUrl: config.AATS_JWKS_URL, ca: tls.ca });
  const metrics = createMetrics('database-controller');

  const sweep = (): void => {
    const before = new Date(Date.now() - config.AATS_UPLOAD_MAX_AGE_HOURS * 60 * 60_000);
    artifacts.removeAbandoned(before).then(
      (removed) => {
        if (removed > 0) logger.info({ removed }, 'abandoned uploads removed');
      },
      (error: unknown) => {
        logger.warn({ err: error }, 'abandoned uploads could not be removed; next try in an hour');
      },
    );
  };
  const sweeping = setInterval(sweep, sweepEveryMs);
  lifecycle.onStop('sweep', () => {
    clearInterval(sweeping);
    return Promise.resolve();
  });

  const kafka = createKafka(config, 'database-controller', (message, details) => {
    logger.warn({ ...details }, message);
  });
  let feed: TopicReader | undefined;
  let isStopped = false;
  lifecycle.onStop('lineage feed', async () => {
    isStopped = true;
    await feed?.close();
  });
  const prepare = (): void => {
    lineage
      .prepare()
      .then(() => {
        if (!isStopped) feed = readLineage(kafka, lineage, logger);
      })
      .catch((error: unknown) => {
        if (isStopped) return;
        logger.warn({ err: error }, 'lineage is not ready; next try in 5 s');
        setTimeout(prepare, 5000).unref();
      });
  };
  prepare();

  const grpc = await startGrpcServer({
    tls,
    port: config.AATS_GRPC_PORT,
    requireClientCertificate: false,
    identities,
    logger,
    stalledAfterMs: config.AATS_STALLED_READER_MS,
    observe: (method, code, seconds) => {
      metrics.observe(method, code, seconds);
    },
    services: [
      implement(DatabaseController, createHealthHandlers(health)),
      implement(Artifacts, createArtifactHandlers(artifacts)),
      implement(Lineage, createLineageHandlers(lineage)),
    ],
  });
  const { app, router } = createRestApp({ identities, logger, health, metrics, openapi });
  addRoutes(router, { identities, health, artifacts, lineage, patienceMs: config.AATS_STALLED_READER_MS, logger });
  const https = await startHttpsServer({ tls, port: config.AATS_REST_PORT, app });
  lifecycle.onStop('gRPC and REST', () => Promise.all([grpc.drain(graceSeconds), https.close(graceSeconds)]));
  return { grpcPort: grpc.port, restPort: https.port };
}
