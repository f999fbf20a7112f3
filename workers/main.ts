import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createKafka, createImpatientProducer } from '../activities/buses/kafka';
import { createRabbitMq } from '../activities/buses/rabbitmq';
import { createTaskPublisher } from '../activities/buses/task-publisher';
import { createBusActivities, createDataActivities } from '../activities/plan';
import { createArtifactStore } from '../activities/stores/artifact-store';
import { openMongo } from '../activities/stores/mongo';
import { CommunicationCoordinator } from '../proto/aats/communication/v1/communication_pb';
import { loadConfig } from '../services/runtime/config';
import { createGrpcClient } from '../services/runtime/grpc-client';
import { createHealth } from '../services/runtime/health';
import { createRestApp, startHttpsServer } from '../services/runtime/http';
import { createIdentities } from '../services/runtime/identity';
import { createMetrics } from '../services/runtime/metrics';
import { dataConverter } from '../services/runtime/payload-codec';
import { type Lifecycle, runProcess } from '../services/runtime/shutdown';
import { clientCredentials, readTls } from '../services/runtime/tls';
import { taskQueues, type TaskQueue } from '../workflows/contracts/task-queues';
import { workflowBundle } from './bundle-workflows';
import { busWorkerConfig, dataWorkerConfig, type WorkerConfig } from './config';
import { createRoutes } from './routes';

const { values } = parseArgs({ options: { queues: { type: 'string', default: 'plans,bus' } } });
const queues = values.queues.split(',').filter((name): name is TaskQueue => name in taskQueues);
const name = queues.includes('data') ? 'worker-data' : 'worker-plans';

const graceSeconds = 1;

runProcess(name, async (lifecycle) => {
  // Signals are ours: the lifecycle drains the workers in order.
  Runtime.install({ shutdownSignals: [], logger: quiet(lifecycle) });
  await (queues.includes('data') ? startDataWorker(lifecycle) : startBusWorker(lifecycle));
});

async function startBusWorker(lifecycle: Lifecycle): Promise<void> {
  const config = loadConfig(busWorkerConfig, process.env);
  const { logger } = lifecycle;
  const connection = await NativeConnection.connect({ address: config.TEMPORAL_ADDRESS });
  lifecycle.onStop('Temporal', () => connection.close());
  const warn = (message: string, details: object): void => {
    logger.warn(details, message);
  };
  const producer = createImpatientProducer(createKafka(config, 'worker-plans', warn));
  // A broker that is away now is found by the activities, which try again.
  await producer.connect().catch((error: unknown) => {
    logger.warn({ err: error }, 'Kafka does not answer yet');
  });
  lifecycle.onStop('Kafka', () => producer.disconnect());
  const rabbitmq = createRabbitMq(config, warn);
  lifecycle.onStop('RabbitMQ', () => rabbitmq.close());
  const coordinator = createGrpcClient(CommunicationCoordinator, {
    address: config.AATS_COORDINATOR_ADDRESS,
    credentials: clientCredentials(readTls(config)),
  });
  lifecycle.onStop('coordinator', async () => {
    coordinator.close();
    return Promise.resolve();
  });
  const routes = createRoutes(coordinator);
  const activities = createBusActivities({
    publisher: createTaskPublisher({
      producer,
      rabbitmq,
      resolveRoutes: routes.resolve,
      cancelAttempts: routes.cancel,
    }),
  });
  const bundle = await workflowBundle();
  for (const queue of queues) {
    await runWorker(
      lifecycle,
      queue,
      await Worker.create({
        connection,
        namespace: config.TEMPORAL_NAMESPACE,
        dataConverter,
        taskQueue: taskQueues[queue],
        activities,
        ...(queue === 'plans' && { workflowBundle: bundle }),
        maxCachedWorkflows: 800,
        maxConcurrentWorkflowTaskExecutions: 40,
        shutdownGraceTime: '10 seconds',
        shutdownForceTime: '15 seconds',
      }),
    );
  }
  await serveHealth(config, connection, lifecycle);
}

async function startDataWorker(lifecycle: Lifecycle): Promise<void> {
  const config = loadConfig(dataWorkerConfig, process.env);
  const connection = await NativeConnection.connect({ address: config.TEMPORAL_ADDRESS });
  lifecycle.onStop('Temporal', () => connection.close());
  const mongo = await openMongo(config);
  lifecycle.onStop('MongoDB', mongo.close);
  const store = createArtifactStore(mongo.db);
  const activities = createDataActivities({
    snapshots: {
      async put(content, file) {
        const bytes = Buffer.from(content);
        const artifact = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
        await store.put({ artifact, name: file, mediaType: 'application/json', size: bytes.length }, inChunks(bytes), {
          uploader: 'service/worker-data',
        });
        return artifact;
      },
      async get(artifact) {
        const chunks: Uint8Array[] = [];
        for await (const chunk of store.get(artifact)) chunks.push(chunk);
        return Buffer.concat(chunks).toString('utf8');
      },
    },
  });
  await runWorker(
    lifecycle,
    'data',
    await Worker.create({
      connection,
      namespace: config.TEMPORAL_NAMESPACE,
      dataConverter,
      taskQueue: taskQueues.data,
      activities,
      shutdownGraceTime: '10 seconds',
      shutdownForceTime: '15 seconds',
    }),
  );
  await serveHealth(config, connection, lifecycle);
}

async function* inChunks(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 256 * 1024)
    yield await Promise.resolve(bytes.subarray(at, at + 256 * 1024));
}

/** Runs until the process stops; a worker that ends by itself takes the process with it, to be started anew. */
async function runWorker(lifecycle: Lifecycle, queue: TaskQueue, worker: Worker): Promise<void> {
  let stopping = false;
  const ended = worker
    .run()
    .catch((error: unknown) => {
      lifecycle.logger.fatal({ err: error, queue }, 'the worker failed');
    })
    .then(() => {
      if (!stopping) process.kill(process.pid, 'SIGTERM');
    });
  lifecycle.onStop(`queue ${queue}`, async () => {
    stopping = true;
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await ended;
  });
  return Promise.resolve();
}

/** Health and metrics of a worker, under the same permissions as those of the services. */
async function serveHealth(config: WorkerConfig, connection: NativeConnection, lifecycle: Lifecycle): Promise<void> {
  const { logger } = lifecycle;
  const tls = readTls(config);
  const { app } = createRestApp({
    identities: createIdentities({ jwksUrl: config.AATS_JWKS_URL, ca: tls.ca }),
    logger,
    // What else its activities need they ask for themselves, and try again.
    health: createHealth({ temporal: () => connection.workflowService.getSystemInfo({}) }),
    metrics: createMetrics(name),
  });
  const https = await startHttpsServer({ tls, port: config.AATS_METRICS_PORT, app });
  lifecycle.onStop('health and metrics', () => https.close(graceSeconds));
}

/** Temporal's own lines, as ours. */
function quiet({ logger }: Lifecycle) {
  const write =
    (level: 'warn' | 'error') =>
    (message: string, meta?: object): void => {
      logger[level]({ ...meta }, message);
    };
  const drop = (): void => undefined;
  return { log: drop, trace: drop, debug: drop, info: drop, warn: write('warn'), error: write('error') };
}
