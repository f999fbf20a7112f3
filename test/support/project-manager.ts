import { randomUUID } from 'node:crypto';
import { request as requestHttps } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Client as PostgresClient } from 'pg';
import { pino } from 'pino';
import { cloudEvent } from '../../activities/buses/cloud-event';
import { acknowledgedByAll, createKafka, createProducer } from '../../activities/buses/kafka';
import { savePerson } from '../../activities/stores/people-store';
import { createPostgres } from '../../activities/stores/postgres';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { type ProjectManagerConfig, projectManagerConfig } from '../../services/project-manager/config';
import { startProjectManager } from '../../services/project-manager/service';
import { implement, startGrpcServer } from '../../services/runtime/grpc';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { createIdentities } from '../../services/runtime/identity';
import { clientCredentials, readTls, type TlsMaterial } from '../../services/runtime/tls';
import type { Identity } from '../../stack/stack-file';
import { migrate } from '../../stack/migrate';
import type { Publication } from '../../activities/plan';
import { topics } from '../../workflows/contracts/messages';
import type { Person } from '../../workflows/contracts/people';
import { searchAttributes } from '../../workflows/contracts/plan';
import { startIssuer } from './issuer';
import { handlersOf } from './service';
import { identityEnvironment } from './stack';
import { type Echo, startPlanWorker } from './temporal';

export const tlsOf = (identity: Identity): TlsMaterial => {
  const { AATS_CA_FILE = '', AATS_CERT_FILE = '', AATS_KEY_FILE = '' } = identityEnvironment(identity);
  return readTls({ AATS_CA_FILE, AATS_CERT_FILE, AATS_KEY_FILE });
};

export interface Answer {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly json: Readonly<Record<string, unknown>>;
}
export interface RequestOptions {
  readonly token?: string;
  readonly tls?: TlsMaterial | { readonly ca: Buffer };
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Instead of a body: the text that stands for one. */
  readonly text?: string;
}

/**
 * The project manager as it runs, on the stack's servers, in a Temporal namespace of its own with a worker that runs
 * the real workflows. Agents, the sign-in service and the coordinator are stood in for.
 */
export async function startProjectManagerBench(
  echo: Echo,
  people: readonly Person[],
  settings: Partial<ProjectManagerConfig> = {},
) {
  const closers: (() => unknown)[] = [];
  const onClose = (close: () => unknown): void => void closers.push(close);
  const env = await openNamespace();
  onClose(() => env.teardown());

  const admin = identityEnvironment('admin');
  const kafkaConfig = projectManagerConfig.pick({
    AATS_KAFKA_BROKERS: true,
    AATS_KAFKA_USER: true,
    AATS_KAFKA_PASSWORD_FILE: true,
    AATS_SERVERS_CA_FILE: true,
  });
  const producer = createProducer(createKafka(kafkaConfig.parse(admin), 'test'));
  await producer.connect();
  onClose(() => producer.disconnect());
  const publisher = {
    publish: async ({ planId, changes }: Pick<Publication, 'planId' | 'changes'>): Promise<void> => {
      const messages = changes.map((data) => {
        const event = cloudEvent('planChanged', { source: 'test', id: `${planId}/${data.cursor}`, data });
        return { key: planId, value: JSON.stringify(event) };
      });
      if (messages.length > 0) await producer.send({ topic: topics.plans, acks: acknowledgedByAll, messages });
    },
  };
  const worker = await startPlanWorker(env, echo, { publisher });
  onClose(() => worker.close());

  const ownPeople = await openPeople(people);
  onClose(ownPeople);
  const issuer = await startIssuer(tlsOf('hitl'));
  onClose(() => issuer.close());
  const coordinator = await startGrpcServer({
    tls: tlsOf('communication-coordinator'),
    port: 0,
    requireClientCertificate: true,
    identities: createIdentities({ jwksUrl: issuer.jwksUrl, ca: tlsOf('admin').ca }),
    logger: pino({ level: 'silent' }),
    services: [
      implement(
        CommunicationCoordinator,
        handlersOf(CommunicationCoordinator, {
          listAgents: () => Promise.resolve({ agents: [{ agentId: 'echo-1', capabilities: [{ name: 'echo' }] }] }),
        }),
      ),
    ],
  });
  onClose(() => coordinator.drain(0));

  const { grpcPort, restPort } = await startProjectManager(
    {
      ...projectManagerConfig.parse(identityEnvironment('project-manager')),
      TEMPORAL_NAMESPACE: env.namespace ?? '',
      AATS_JWKS_URL: issuer.jwksUrl,
      AATS_COORDINATOR_ADDRESS: `localhost:${coordinator.port}`,
      AATS_GRPC_PORT: 0,
      AATS_REST_PORT: 0,
      ...settings,
    },
    { logger: pino({ level: 'error' }), onStop: (_name, close) => closers.push(close) },
  );

  const answers: Answer[] = [];
  const rest = (method: string, path: string, options: RequestOptions = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { token, tls = token === undefined ? tlsOf('admin') : { ca: tlsOf('admin').ca }, body } = options;
      const { text = body && JSON.stringify(body) } = options;
      const headers = {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(text !== undefined && { 'content-type': 'application/json' }),
        ...options.headers,
      };
      const url = `https://localhost:${restPort}${path}`;
      const call = requestHttps(url, { ...tls, method, headers, agent: false }, (incoming) => {
        let received = '';
        incoming.setEncoding('utf8').on('data', (part: string) => (received += part));
        incoming.on('error', reject).on('end', () => {
          const type = incoming.headers['content-type'] ?? '';
          const json = type.includes('json') ? (JSON.parse(received) as Record<string, unknown>) : {};
          const answer = { method, path, status: incoming.statusCode ?? 0, type, body: received, json };
          answers.push(answer);
          resolve(answer);
        });
      });
      call.on('error', reject).end(text);
    });

  return {
    env,
    worker,
    issuer,
    /** Publishes changes as plans do. */
    publish: publisher.publish,
    grpcPort,
    restPort,
    rest,
    /** All that REST answered here. */
    answers,
    client<S extends Parameters<typeof createGrpcClient>[0]>(
      service: S,
      options: { readonly token?: string; readonly tls?: TlsMaterial; readonly surface?: 'web' } = {},
    ): GrpcClient<S> {
      const { token, surface, tls = token === undefined ? tlsOf('admin') : { ca: tlsOf('admin').ca } } = options;
      const client = createGrpcClient(service, {
        address: `localhost:${grpcPort}`,
        credentials: clientCredentials(tls),
        token: () => token,
        ...(surface && { surface }),
      });
      onClose(() => {
        client.close();
      });
      return client;
    },
    async close(): Promise<void> {
      for (const close of closers.reverse()) await close();
    },
  };
}
export type ProjectManagerBench = Awaited<ReturnType<typeof startProjectManagerBench>>;

/** Waits until something holds; fails with what it was last. */
export async function eventually<T>(look: () => Promise<T>, holds: (value: T) => boolean, seconds = 20): Promise<T> {
  const ends = Date.now() + seconds * 1000;
  for (;;) {
    const value = await look();
    if (holds(value)) return value;
    if (Date.now() > ends) throw new Error(`still ${JSON.stringify(value)}`);
    await pause(20);
  }
}

async function openNamespace(): Promise<TestWorkflowEnvironment> {
  const { TEMPORAL_ADDRESS: address } = identityEnvironment('admin');
  if (address === undefined) throw new Error('the stack has no Temporal');
  const namespace = `test-${randomUUID().slice(0, 8)}`;
  const env = await TestWorkflowEnvironment.createFromExistingServer({ address, namespace });
  await env.connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  const keywords = Object.values(searchAttributes).map((name) => [
    name,
    name === searchAttributes.waitingForPerson ? 5 : name === searchAttributes.waitingFor ? 7 : 2,
  ]);
  const known = (): Promise<boolean> =>
    env.connection.operatorService
      .addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(keywords) as Record<string, number> })
      .then(
        () => true,
        () => false,
      );
  await eventually(known, Boolean);
  const query = `${searchAttributes.kind} = 'plan'`;
  const listed = (): Promise<boolean> =>
    env.client.workflow.count(query).then(
      () => true,
      () => false,
    );
  await eventually(listed, Boolean);
  return env;
}

/** The tables, and the people of one test among the others'. Gives what removes them. */
async function openPeople(people: readonly Person[]): Promise<() => Promise<void>> {
  const config = projectManagerConfig
    .pick({ AATS_POSTGRES_URL: true, AATS_POSTGRES_PASSWORD_FILE: true, AATS_SERVERS_CA_FILE: true })
    .parse(identityEnvironment('admin'));
  const pool = createPostgres(config, 1);
  const client = new PostgresClient(pool.options);
  await client.connect();
  await migrate(client);
  for (const person of people) {
    const unusable = { displayName: person.name, passwordHash: 'none', totpSecret: 'none' };
    await savePerson(client, { ...person, ...unusable }, 'a key that nobody has');
  }
  return async () => {
    await client.query('delete from people.person where name = any($1)', [people.map(({ name }) => name)]);
    await client.end();
    await pool.end();
  };
}
