import { createKafka } from '../../activities/buses/kafka';
import { readDirectory } from '../../activities/stores/people-store';
import { createPlanStore } from '../../activities/stores/plan-store';
import { createPostgres } from '../../activities/stores/postgres';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Approvals, ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { implement, startGrpcServer } from '../runtime/grpc';
import { createGrpcClient } from '../runtime/grpc-client';
import { createHealth } from '../runtime/health';
import { createRestApp, startHttpsServer } from '../runtime/http';
import { createIdentities } from '../runtime/identity';
import { createMetrics } from '../runtime/metrics';
import { openApiOf } from '../runtime/openapi';
import { addOperations } from '../runtime/rest';
import type { Lifecycle } from '../runtime/shutdown';
import { connectTemporal } from '../runtime/temporal';
import { clientCredentials, readTls } from '../runtime/tls';
import { createApprovalsHandlers } from './approvals-handlers';
import type { ProjectManagerConfig } from './config';
import { createProjectManagerHandlers } from './handlers';
import { operations } from './operations';
import { startPlanFeed } from './plan-feed';
import type { Surroundings } from './plan-intake';
import { createPlans } from './plans';
import { whileCalled } from './while-called';

const graceSeconds = 10;

/** Starts the facade of plans and approvals. */
export async function startProjectManager(
  config: ProjectManagerConfig,
  lifecycle: Lifecycle,
): Promise<{ readonly grpcPort: number; readonly restPort: number }> {
  const { logger } = lifecycle;
  const tls = readTls(config);
  const temporal = await connectTemporal(config);
  lifecycle.onStop('Temporal', () => temporal.connection.close());
  const pool = createPostgres(config);
  lifecycle.onStop('PostgreSQL', () => pool.end());
  const kafka = createKafka(config, 'project-manager', (message, details) => {
    logger.warn(details, message);
  });
  const feed = startPlanFeed(kafka, logger);
  lifecycle.onStop('plan changes', () => feed.close());
  const coordinator = createGrpcClient(CommunicationCoordinator, {
    address: config.AATS_COORDINATOR_ADDRESS,
    credentials: clientCredentials(tls),
  });
  lifecycle.onStop('coordinator', () => {
    coordinator.close();
    return Promise.resolve();
  });

  const draining = new AbortController();
  const definitions = createPlanStore(pool);
  const plans = createPlans(temporal);
  // What cannot be asked now costs a warning, not the validation.
  const surroundings = async (): Promise<Surroundings> => {
    const [agents, directory] = await Promise.all([
      coordinator.listAgents({}, { timeoutMs: 1500 }).catch(() => undefined),
      readDirectory(pool).catch(() => undefined),
    ]);
    return {
      ...(agents && {
        capabilities: [...new Set(agents.agents.flatMap(({ capabilities }) => capabilities.map(({ name }) => name)))],
      }),
      ...(directory && { directory }),
    };
  };
  const handlers = whileCalled(
    temporal,
    ProjectManager,
    createProjectManagerHandlers({ plans, feed, definitions, surroundings, draining: draining.signal }),
  );
  const approvals = whileCalled(temporal, Approvals, createApprovalsHandlers(temporal));

  const identities = createIdentities({ jwksUrl: config.AATS_JWKS_URL, ca: tls.ca });
  const metrics = createMetrics('project-manager');
  const health = createHealth({
    temporal: () => temporal.workflowService.getSystemInfo({}),
    postgresql: () => definitions.ping(),
    kafka: () => feed.ping(),
  });
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
    services: [implement(ProjectManager, handlers), implement(Approvals, approvals)],
  });
  const { app, router } = createRestApp({
    identities,
    logger,
    health,
    metrics,
    openapi: openApiOf('AATS project manager', operations),
  });
  const surroundingsOfRest = { router, identities, logger, stalledAfterMs: config.AATS_STALLED_READER_MS };
  addOperations(surroundingsOfRest, ProjectManager, handlers, operations);
  addOperations(surroundingsOfRest, Approvals, approvals, operations);
  const https = await startHttpsServer({ tls, port: config.AATS_REST_PORT, app });
  lifecycle.onStop('gRPC and REST', () => {
    const drained = Promise.all([grpc.drain(graceSeconds), https.close(graceSeconds)]);
    draining.abort();
    return drained;
  });
  return { grpcPort: grpc.port, restPort: https.port };
}
