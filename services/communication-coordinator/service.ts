import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { Counter, Gauge, Histogram } from 'prom-client';
import { createKafka, createProducer } from '../../activities/buses/kafka';
import { cloudEvent, contentType, MessageRefused } from '../../activities/buses/cloud-event';
import { createRabbitMq, publishConfirmed } from '../../activities/buses/rabbitmq';
import { createPresence } from '../../activities/stores/presence';
import { createRedis } from '../../activities/stores/redis';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { Artifacts } from '../../proto/aats/data/v1/data_pb';
import { exchanges, queues, type TaskReport } from '../../workflows/contracts/messages';
import type { Json } from '../../workflows/contracts/json';
import { implement, startGrpcServer } from '../runtime/grpc';
import { createGrpcClient } from '../runtime/grpc-client';
import { createHealth } from '../runtime/health';
import { createRestApp, startHttpsServer } from '../runtime/http';
import { createIdentities } from '../runtime/identity';
import { createMetrics } from '../runtime/metrics';
import type { Lifecycle } from '../runtime/shutdown';
import { connectTemporal } from '../runtime/temporal';
import { clientCredentials, readTls } from '../runtime/tls';
import type { CoordinatorConfig } from './config';
import { createCoordinatorHandlers, createRegistration, type RegistryOptions } from './handlers';
import { createKafkaReports } from './kafka-reports';
import { createReportGatherer } from './report-gatherer';
import { createReportIntake } from './report-intake';
import { addRoutes } from './routes';
import { registerSchemas } from './schema-registration';
import { createTopology } from './topology';

const graceSeconds = 10;
const sweepEveryMs = 100;
const measureEveryMs = 5_000;
const source = 'aats/communication-coordinator';

/** Starts the facade of agents: registry, routes, and the way of reports back to the plans. Many may run. */
export async function startCoordinator(config: CoordinatorConfig, lifecycle: Lifecycle): Promise<void> {
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
  const [admin, producer] = [kafka.admin({ retry: { retries: 20 } }), createProducer(kafka)];
  await Promise.all([admin.connect(), producer.connect()]);
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
  const intake = createReportIntake({
    gatherer,
    presence,
    producer,
    storeOutput,
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
    },
  });
  const topology = createTopology({
    kafka,
    admin,
    rabbitmq,
    replication: config.AATS_KAFKA_REPLICATION,
    logger,
  });
  lifecycle.onStop('topology', () => topology.close());
  const kafkaReports = createKafkaReports(kafka, admin, (messages) => intake(messages), logger);
  lifecycle.onStop('Kafka reports', () => kafkaReports.close());

  const registry: RegistryOptions = {
    presence,
    topology,
    heartbeatMs: config.AATS_AGENT_HEARTBEAT_MS,
    onTopics: () => kafkaReports.refresh(),
    // Agents that have only the bus hear of it there; those on gRPC with their next heartbeat.
    onCancel: async (attempts) => {
      const event = cloudEvent('taskCancelled', { source, data: { attempts } });
      await publishConfirmed(await rabbitmq.publisher(), exchanges.fanout, '', Buffer.from(JSON.stringify(event)), {
        messageId: event.id,
        contentType,
        type: event.type,
      }).catch((error: unknown) => {
        logger.warn({ err: error }, 'cancellation could not be broadcast');
      });
    },
  };
  const register = createRegistration(registry);
  const stopConsuming = rabbitmq.consume(async (channel) => {
    await channel.prefetch(500);
    await channel.consume(queues.responses, (message) => {
      if (!message) return;
      intake([{ value: message.content, from: queues.responses }], async (event) => {
        try {
          if (event.name === 'agentRegistered') await register(event.data, 'bus');
          else if (event.name === 'agentHeartbeat') await presence.heartbeat(event.data.agentId, event.data.running);
          else if (event.name === 'agentDraining') await presence.drain(event.data.agentId);
        } catch (error) {
          if (!(error instanceof ApplicationFailure) || !error.nonRetryable) throw error;
          // Who is not known (any more) registers again; whatever else is wrong stays wrong however often it is taken.
          if (error.type !== 'AgentNotFound') throw new MessageRefused(error.message);
        }
      })
        .then(
          () => {
            channel.ack(message);
          },
          (error: unknown) => {
            logger.warn({ err: error }, 'a response could not be taken; it comes again');
            return wait(500).then(() => {
              channel.nack(message, false, true);
            });
          },
        )
        .catch(() => undefined); // the channel closed meanwhile: the broker sends it again
    });
  });
  lifecycle.onStop('responses', stopConsuming);

  repeat('leases', sweepEveryMs, async () => {
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
    for (const [capability, length] of await topology.queueLengths(await presence.knownCapabilities()))
      queueLength.set({ capability }, length);
    await kafkaReports.refresh();
  });
  repeat(
    'schemas',
    10_000,
    async () => {
      logger.info({ schemas: await registerSchemas(config.AATS_SCHEMA_REGISTRY_URL) }, 'schemas registered');
    },
    { once: true },
  );

  await kafkaReports.refresh();
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
  lifecycle.onStop('gRPC', () => grpc.drain(graceSeconds));
  const { app, router } = createRestApp({ identities, logger, health, metrics });
  addRoutes(router, identities, handlers);
  const https = await startHttpsServer({ tls, port: config.AATS_REST_PORT, app });
  lifecycle.onStop('REST', () => https.close(graceSeconds));

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
