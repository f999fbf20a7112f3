import { createHash } from 'node:crypto';
import { Counter, Gauge, Histogram } from 'prom-client';
import { acknowledgedByAll, createKafka, createProducer } from '../../activities/buses/kafka';
import { type CloudEvent, cloudEvent, contentType, traceparentOf } from '../../activities/buses/cloud-event';
import { createRabbitMq, publishConfirmed } from '../../activities/buses/rabbitmq';
import { createPresence } from '../../activities/stores/presence';
import { createRedis } from '../../activities/stores/redis';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Artifacts } from '../../proto/aats/data/v1/data_pb';
import { exchanges, queues, type TaskReport, topics } from '../../workflows/contracts/messages';
import type { Json } from '../../workflows/contracts/json';
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
import { createBusAgents } from './bus-agents';
import type { CoordinatorConfig } from './config';
import { createCoordinatorHandlers, createRegistration, type RegistryOptions } from './handlers';
import { createKafkaReports } from './kafka-reports';
import { createReportGatherer } from './report-gatherer';
import { createReportIntake } from './report-intake';
import { operations } from './operations';
import { consumeResponses } from './responses';
import { registerSchemas } from './schema-registration';
import { createTopology, type Served } from './topology';

const graceSeconds = 10;
const sweepEveryMs = 100;
const measureEveryMs = 5_000;
const source = 'aats/communication-coordinator';

/** Starts the facade of agents: registry, routes, and the way of reports back to the plans. Many may run. */
export async function startCoordinator(
  config: CoordinatorConfig,
  lifecycle: Lifecycle,
): Promise<{ readonly grpcPort: number; readonly restPort: number }> {
  const { logger } = lifecycle;
  const tls = readTls(config);
  const metrics = createMetrics('communication-coordinator');
  const count = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name, help, labelNames, registers: [metrics.registry] });
  const reportsTotal = count('aats_reports_total', 'Reports of agents by kind', ['kind']);
  const deadLetters = count('aats_dead_letters_total', 'Messages that could not be read', ['from']);
  const unknownPlans = count('aats_reports_of_unknown_plans_total', 'Reports whose plan is not there any more');
  const batchSize = new Histogram({
    name: 'aats_signal_reports',
    help: 'Reports in one signal',
    buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500],
    registers: [metrics.registry],
  });
  const queueLength = new Gauge({
    name: 'agent_task_queue_length',
    help: 'Tasks published but not begun',
    labelNames: ['capability'],
    registers: [metrics.registry],
  });

  const temporal = await connectTemporal(config);
  lifecycle.onStop('Temporal', () => temporal.connection.close());
  const redis = createRedis(config);
  lifecycle.onStop('Redis', async () => Promise.resolve(void redis.disconnect()));
  const warn = (message: string, details: object): void => {
    logger.warn(details, message);
  };
  const kafka = createKafka(config, 'communication-coordinator', warn);
  const rabbitmq = createRabbitMq(config, warn);
  lifecycle.onStop('RabbitMQ', () => rabbitmq.close());
  const [admin, producer] = [kafka.admin({ retry: { retries: 3 } }), createProducer(kafka)];
  lifecycle.onStop('Kafka', async () => Promise.all([admin.disconnect(), producer.disconnect()]));

  const artifacts = createGrpcClient(Artifacts, {
    address: config.AATS_DATABASE_CONTROLLER_ADDRESS,
    credentials: clientCredentials(tls),
  });
  lifecycle.onStop('artifacts', async () => Promise.resolve(void artifacts.close()));
  const storeOutput = async (_report: TaskReport, output: Json): Promise<Json> => {
    const content = Buffer.from(JSON.stringify(output));
    const artifact = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    const header = {
      name: 'output.json',
      mediaType: 'application/json',
      size: BigInt(content.length),
      artifact,
      offset: 0n,
    };
    await artifacts.putArtifact(
      (async function* () {
        yield await Promise.resolve({ part: { case: 'header' as const, value: header } });
        for (let at = 0; at < content.length; at += 512 * 1024)
          yield { part: { case: 'chunk' as const, value: content.subarray(at, at + 512 * 1024) } };
      })(),
    );
    return { artifact, name: header.name, mediaType: header.mediaType, size: content.length };
  };

  const presence = createPresence(redis, { expiresMs: 3 * config.AATS_AGENT_HEARTBEAT_MS });
  const gatherer = createReportGatherer(temporal.workflow, {
    signalled: (reports) => {
      batchSize.observe(reports);
    },
    unknownPlan: (planId, reports) => {
      unknownPlans.inc(reports);
      logger.info({ planId, reports }, 'reports of a plan that has ended');
    },
    retried: (planId, error) => {
      logger.warn({ planId, err: error }, 'Temporal did not accept reports; tried again');
    },
  });
  lifecycle.onStop('reports', () => gatherer.close());
  const onQueue = async (exchange: string, key: string, event: CloudEvent<unknown>): Promise<void> =>
    publishConfirmed(await rabbitmq.publisher(), exchange, key, Buffer.from(JSON.stringify(event)), {
      messageId: event.id,
      contentType,
      type: event.type,
    });
  const toAll = (event: CloudEvent<unknown>): Promise<void> =>
    onQueue(exchanges.fanout, '', event).catch((error: unknown) => {
      logger.warn({ err: error, type: event.type }, 'agents on the bus could not be told');
    });
  const topology = createTopology({
    kafka,
    admin,
    producer,
    rabbitmq,
    replication: config.AATS_KAFKA_REPLICATION,
    logger,
  });
  lifecycle.onStop('topology', () => topology.close());
  let lengths: ReadonlyMap<string, number> = new Map();
  const served = async (): Promise<Served> => {
    const [transports, queued] = await Promise.all([presence.knownCapabilities(), presence.queuedCapabilities()]);
    return { transports, queued };
  };
  const moveStranded = async (): Promise<void> => topology.moveStranded(await served());

  const registry: RegistryOptions = {
    presence,
    topology,
    heartbeatMs: config.AATS_AGENT_HEARTBEAT_MS,
    queueLengths: () => lengths,
    onServed: () => {
      void kafkaReports.refresh();
      moveStranded().catch((error: unknown) => {
        logger.warn({ err: error }, 'tasks on the other bus could not be looked for; done later');
      });
    },
    announce: {
      cancel: async (attempts) => {
        const traceparent = attempts[0] && traceparentOf(attempts[0].planId, `cancel ${attempts[0].taskId}`);
        await toAll(cloudEvent('taskCancelled', { source, traceparent, data: { attempts } }));
      },
      drain: (agentId) => toAll(cloudEvent('agentDraining', { source, subject: agentId, data: { agentId } })),
    },
  };
  const register = createRegistration(registry);
  const intake = createReportIntake({
    gatherer,
    presence,
    producer,
    storeOutput,
    bury: async ({ from }, event) => {
      if (from === queues.responses) return onQueue(exchanges.dead, '', event);
      await producer.send({
        topic: topics.deadLetters,
        acks: acknowledgedByAll,
        messages: [{ key: from, value: JSON.stringify(event) }],
      });
    },
    onAgent: createBusAgents(presence, register, registry.announce, logger),
    observe: {
      report: (kind) => {
        reportsTotal.inc({ kind });
      },
      deadLetter: (from) => {
        deadLetters.inc({ from });
      },
      leaseProblem: (error) => {
        logger.warn({ err: error }, 'a lease could not be kept');
      },
      progressLost: (error) => {
        logger.warn({ err: error }, 'progress could not be passed on');
      },
    },
  });
  const kafkaReports = createKafkaReports(kafka, admin, intake, logger);
  lifecycle.onStop('Kafka reports', () => kafkaReports.close());
  lifecycle.onStop('responses', consumeResponses(rabbitmq, intake, logger));

  repeat('leases', sweepEveryMs, async () => {
    const longerMs = await presence.listening();
    if (longerMs > 0) logger.info({ longerMs }, 'nobody listened for a while: agents get longer to be heard of');
    const expired = await presence.expired(500);
    const byPlan = new Map<string, TaskReport[]>();
    for (const attempt of expired)
      byPlan.set(attempt.planId, [
        ...(byPlan.get(attempt.planId) ?? []),
        { ...attempt, at: new Date().toISOString(), kind: 'lost' },
      ]);
    await Promise.all([...byPlan].map(([planId, reports]) => gatherer.accept(planId, reports)));
    await presence.release(expired);
    if (expired.length > 0) logger.info({ attempts: expired.length }, 'agents were not heard of any more');
  });
  repeat('queue lengths', measureEveryMs, async () => {
    lengths = await topology.queueLengths(await served());
    queueLength.reset();
    for (const [capability, length] of lengths) queueLength.set({ capability }, length);
    await kafkaReports.refresh();
    await moveStranded();
  });
  repeat(
    'schemas',
    10_000,
    async () => {
      logger.info({ schemas: await registerSchemas(config.AATS_SCHEMA_REGISTRY_URL) }, 'schemas registered');
    },
    { once: true },
  );

  // It serves what it can while a bus is away, and says so by its health.
  repeat(
    'Kafka',
    1_000,
    async () => {
      await Promise.all([admin.connect(), producer.connect()]);
      await kafkaReports.refresh();
    },
    { once: true },
  );
  const identities = createIdentities({ jwksUrl: config.AATS_JWKS_URL, ca: tls.ca });
  const health = createHealth({
    temporal: () => temporal.workflowService.getSystemInfo({}),
    redis: () => presence.ping(),
    kafka: () => admin.describeCluster(),
    rabbitmq: () => rabbitmq.ping(),
  });
  const handlers = createCoordinatorHandlers(registry);
  const grpc = await startGrpcServer({
    tls,
    port: config.AATS_GRPC_PORT,
    requireClientCertificate: true,
    identities,
    logger,
    observe: (method, code, seconds) => {
      metrics.observe(method, code, seconds);
    },
    services: [implement(CommunicationCoordinator, handlers)],
  });
  const openapi = openApiOf('AATS communication coordinator', operations);
  const { app, router } = createRestApp({ identities, logger, health, metrics, openapi });
  addOperations({ router, identities, logger }, CommunicationCoordinator, handlers, operations);
  const https = await startHttpsServer({ tls, port: config.AATS_REST_PORT, app });
  lifecycle.onStop('gRPC and REST', () => Promise.all([grpc.drain(graceSeconds), https.close(graceSeconds)]));
  return { grpcPort: grpc.port, restPort: https.port };

  /** One run at a time; a failed one is said and tried again. */
  function repeat(name: string, everyMs: number, work: () => Promise<void>, { once = false } = {}): void {
    let stopped = false;
    const next = async (): Promise<void> => {
      if (stopped) return;
      const ok = await work().then(
        () => true,
        (error: unknown) => {
          logger.warn({ err: error, name }, 'did not work; tried again');
          return false;
        },
      );
      if (!(once && ok)) setTimeout(() => void next(), everyMs).unref();
    };
    void next();
    lifecycle.onStop(name, async () => Promise.resolve(void (stopped = true)));
  }
}
