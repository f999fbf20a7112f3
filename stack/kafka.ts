import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs';
import { classPath } from './jars';
import type { Server, StackContext } from './server';
import { identities } from './stack-file';
import { provisionedTopics, retentionMs, topicRules } from './topics';

const nodes = (ctx: StackContext): readonly number[] => (ctx.brokers === 3 ? [0, 1, 2] : [0]);
const processName = (index: number): string => (index === 0 ? 'kafka' : `kafka-${index + 1}`);
const port = (ctx: StackContext, index: number): number => ctx.port('kafka') + 100 * index;
const controllerPort = (ctx: StackContext, index: number): number => ctx.port('kafkaController') + 100 * index;
const jmxPort = (ctx: StackContext, index: number): number => ctx.port('kafkaJmx') + 100 * index;

/** Addresses of the brokers, for clients. */
export const brokers = (ctx: StackContext): readonly string[] =>
  nodes(ctx).map((index) => `localhost:${port(ctx, index)}`);

export async function kafkaAsAdmin(ctx: StackContext): Promise<Kafka> {
  const { ca } = await ctx.certificate('kafka', { uri: 'service/kafka', forServer: true });
  return new Kafka({
    clientId: 'aats-stack',
    brokers: [...brokers(ctx)],
    ssl: { ca: [readFileSync(ca, 'utf8')], minVersion: 'TLSv1.3' },
    sasl: { mechanism: 'scram-sha-512', username: 'admin', password: (await ctx.secret('kafka-admin')).value },
    connectionTimeout: 10_000, // a broker that just starts, on a busy machine
    logLevel: logLevel.NOTHING,
    retry: { retries: 3 },
  });
}

async function configuration(ctx: StackContext, index: number): Promise<string> {
  const dir = await ctx.serverDir(processName(index));
  const tls = await ctx.certificate('kafka', { uri: 'service/kafka', forServer: true });
  const control = (await ctx.secret('kafka-controller')).value;
  const broker = (await ctx.secret('kafka-broker')).value;
  const replicas = nodes(ctx).length;
  const values: Readonly<Record<string, string | number | boolean>> = {
    'process.roles': 'broker,controller',
    'node.id': index + 1,
    'controller.quorum.voters': nodes(ctx)
      .map((one) => `${one + 1}@127.0.0.1:${controllerPort(ctx, one)}`)
      .join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: `CONTROLLER://127.0.0.1:${controllerPort(ctx, index)},SASLSSL://127.0.0.1:${port(ctx, index)}`,
    'advertised.listeners': `SASLSSL://localhost:${port(ctx, index)}`,
    'listener.security.protocol.map': 'CONTROLLER:SASL_SSL,SASLSSL:SASL_SSL',
    'inter.broker.listener.name': 'SASLSSL',
    'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
    'sasl.mechanism.inter.broker.protocol': 'SCRAM-SHA-512',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    'listener.name.controller.sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.controller.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required username="ctl" password="${control}" user_ctl="${control}";`,
    'listener.name.saslssl.scram-sha-512.sasl.jaas.config': `org.apache.kafka.common.security.scram.ScramLoginModule required username="broker" password="${broker}";`,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': tls.bundle,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': tls.ca,
    'ssl.enabled.protocols': 'TLSv1.3',
    'ssl.protocol': 'TLSv1.3',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:broker;User:ctl;User:admin',
    'allow.everyone.if.no.acl.found': false,
    'log.dirs': join(dir, 'data'),
    'default.replication.factor': replicas,
    'min.insync.replicas': replicas === 3 ? 2 : 1,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': replicas === 3 ? 2 : 1,
    'transaction.state.log.num.partitions': 8,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': replicas === 3 ? 2 : 1,
    'auto.create.topics.enable': false,
    'log.retention.ms': retentionMs,
    'log.segment.bytes': 67108864,
    'log.cleaner.dedupe.buffer.size': 16777216,
    'group.initial.rebalance.delay.ms': 0,
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'controlled.shutdown.enable': replicas === 3,
  };
  return Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');
}

/** 22 characters of base64: the same for all brokers of a stack, different for each stack. */
const clusterId = async (ctx: StackContext): Promise<string> =>
  createHash('sha256')
    .update((await ctx.secret('kafka-cluster')).value)
    .digest('base64url')
    .slice(0, 22);

export const kafka: Server = {
  name: 'kafka',
  title: 'Kafka 4.4.0 (KRaft)',
  needs: [],
  ports: (ctx) => nodes(ctx).flatMap((index) => [port(ctx, index), controllerPort(ctx, index), jmxPort(ctx, index)]),
  processes: (ctx) => nodes(ctx).map(processName),
  replacedBy: 'AATS_KAFKA_BROKERS',
  install: async (ctx) => void (await classPath(ctx, 'kafka')),
  async configure(ctx) {
    const { java } = await ctx.python();
    const jars = await classPath(ctx, 'kafka');
    for (const index of nodes(ctx)) {
      const dir = await ctx.serverDir(processName(index));
      const file = join(dir, 'server.properties');
      await writeFile(file, await configuration(ctx, index), { mode: 0o600 });
      await writeFile(
        join(dir, 'log4j2.yaml'),
        'Configuration:\n  Appenders: { Console: { name: out, PatternLayout: { pattern: "%d %p %c{1} %m%n" } } }\n  Loggers: { Root: { level: warn, AppenderRef: { ref: out } } }\n',
      );
      // Java's management port would let anyone on this machine run code as the broker: it takes a password, and only reads.
      await writeFile(join(dir, 'jmx.password'), `monitor ${(await ctx.secret('kafka-jmx')).value}\n`, { mode: 0o600 });
      await writeFile(join(dir, 'jmx.access'), 'monitor readonly\n', { mode: 0o600 });
      if (ctx.serverUser) await ctx.run('chown', ['-R', `${ctx.serverUser.uid}:${ctx.serverUser.gid}`, dir]);
      if (existsSync(join(dir, 'data', 'meta.properties'))) continue;
      // Every identity's password becomes part of the first metadata; a wrapper file keeps them out of the arguments.
      const passwords = await Promise.all(
        [...identities, 'broker' as const].map(
          async (name) =>
            `SCRAM-SHA-512=[name=${name},iterations=8192,password=${(await ctx.secret(`kafka-${name}`)).value}]`,
        ),
      );
      const argumentFile = join(dir, 'format.args');
      const all = [
        '-cp',
        jars,
        'kafka.tools.StorageTool',
        'format',
        '-t',
        await clusterId(ctx),
        '-c',
        file,
        ...passwords.flatMap((one) => ['--add-scram', one]),
      ];
      await writeFile(
        argumentFile,
        all.map((one) => `"${one.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join('\n'),
        { mode: 0o600 },
      );
      if (ctx.serverUser) await ctx.run('chown', [`${ctx.serverUser.uid}:${ctx.serverUser.gid}`, argumentFile]);
      try {
        await ctx.run('sh', ['-c', `'${java}' -Xmx128m '@${argumentFile}' > /dev/null`], {
          asServer: true,
          cwd: dir,
          timeoutSeconds: 60,
        });
      } finally {
        await ctx.run('rm', ['-f', argumentFile]);
      }
    }
  },
  async start(ctx) {
    const { java } = await ctx.python();
    const jars = await classPath(ctx, 'kafka');
    for (const index of nodes(ctx)) {
      const dir = await ctx.serverDir(processName(index));
      const jmx = ['port', 'rmi.port'].map((name) => `-Dcom.sun.management.jmxremote.${name}=${jmxPort(ctx, index)}`);
      await ctx.spawn(
        processName(index),
        java,
        [
          '-Xms192m',
          '-Xmx256m',
          '-XX:+UseSerialGC',
          '-XX:TieredStopAtLevel=1',
          '-XX:MaxDirectMemorySize=64m',
          `-Dlog4j2.configurationFile=${join(dir, 'log4j2.yaml')}`,
          '-Djava.rmi.server.hostname=127.0.0.1',
          '-Dcom.sun.management.jmxremote.host=127.0.0.1',
          ...jmx,
          '-Dcom.sun.management.jmxremote.authenticate=true',
          `-Dcom.sun.management.jmxremote.password.file=${join(dir, 'jmx.password')}`,
          `-Dcom.sun.management.jmxremote.access.file=${join(dir, 'jmx.access')}`,
          '-Dcom.sun.management.jmxremote.ssl=false',
          '-cp',
          jars,
          'kafka.Kafka',
          join(dir, 'server.properties'),
        ],
        { cwd: dir },
      );
    }
  },
  async ready(ctx) {
    const admin = (await kafkaAsAdmin(ctx)).admin();
    try {
      await admin.connect();
      const { brokers: alive } = await admin.describeCluster();
      if (alive.length < nodes(ctx).length) throw new Error(`${alive.length} of ${nodes(ctx).length} brokers answer`);
    } finally {
      await admin.disconnect();
    }
  },
  async provision(ctx) {
    const admin = (await kafkaAsAdmin(ctx)).admin();
    try {
      await admin.connect();
      const replicationFactor = nodes(ctx).length;
      await admin.createTopics({
        waitForLeaders: true,
        topics: provisionedTopics.map(({ topic, partitions }) => ({
          topic,
          numPartitions: partitions,
          replicationFactor,
          configEntries: [{ name: 'retention.ms', value: String(retentionMs) }],
        })),
      });
      await admin.createAcls({
        acl: topicRules.flatMap(({ identity, resource, name, prefixed, operations }) =>
          operations.map((operation) => ({
            resourceType: AclResourceTypes[resource],
            resourceName: name,
            resourcePatternType: prefixed ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
            principal: `User:${identity}`,
            host: '*',
            operation: AclOperationTypes[operation],
            permissionType: AclPermissionTypes.ALLOW,
          })),
        ),
      });
    } finally {
      await admin.disconnect();
    }
  },
  // All brokers at once: the last one alone would have no quorum to leave in order.
  async stop(ctx) {
    await Promise.all(nodes(ctx).map((index) => ctx.stopProcess(processName(index), { graceSeconds: 12 })));
  },
};
