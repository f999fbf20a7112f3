import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { Identity, StackFile } from './stack-file';
import type { SupervisedProcess } from './supervisor';

/** A process of the application: whose credentials it has, and how to know that it is ready. */
export interface AppProcess {
  readonly name: string;
  readonly identity: Identity;
  /** Under the folder of the compiled sources, then its arguments. */
  readonly command: readonly [script: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** URL that answers 200 once it is ready; absent: ready when it runs. */
  readonly ready?: (stack: StackFile) => string;
}

const restReady =
  (portVariable: 'AATS_REST_PORT' | 'AATS_METRICS_PORT') =>
  (identity: Identity) =>
  (stack: StackFile): string =>
    `https://localhost:${stack.identities[identity][portVariable] ?? ''}/health/ready`;
const service = (name: Identity, script: string): AppProcess => ({
  name,
  identity: name,
  command: [script],
  ready: restReady('AATS_REST_PORT')(name),
});

/** Services and workers, in the order of start: what others call comes first. */
export const services: readonly AppProcess[] = [
  service('database-controller', 'services/database-controller/main.js'),
  service('communication-coordinator', 'services/communication-coordinator/main.js'),
  { name: 'worker-data', identity: 'worker-data', command: ['workers/main.js', '--queues', 'data'] },
  { name: 'worker-plans', identity: 'worker-plans', command: ['workers/main.js', '--queues', 'plans,bus'] },
  service('hitl', 'services/hitl/main.js'),
  service('project-manager', 'services/project-manager/main.js'),
];

/** A process of the shipped agents. */
export const agent = (
  name: string,
  transport: 'kafka' | 'rabbitmq',
  capacity: number,
  capabilities: readonly string[],
): AppProcess => ({
  name,
  identity: 'agent',
  command: [
    'agents/main.js',
    '--agent-id',
    name,
    '--transport',
    transport,
    '--capacity',
    String(capacity),
    '--capabilities',
    capabilities.join(','),
  ],
});

/** The agents of `npm start`: one team on both buses, two processes for what takes long. */
export const demoAgents: readonly AppProcess[] = [
  agent('inspector', 'kafka', 8, ['npm-inventory', 'npm-compare']),
  agent('tester-1', 'kafka', 2, ['npm-test']),
  agent('tester-2', 'kafka', 2, ['npm-test']),
  agent('writer', 'rabbitmq', 2, ['dependency-report', 'publish-artifacts']),
  agent('git-hand', 'rabbitmq', 1, ['npm-apply', 'git-delete-branch']),
  agent('helper', 'kafka', 16, ['echo', 'command', 'http']),
];

/** What the supervisor needs to run it: the identity's environment and nothing else. */
export function supervised(app: AppProcess, stack: StackFile, dist: string): SupervisedProcess {
  const [script, ...args] = app.command;
  return {
    name: app.name,
    command: ['--enable-source-maps', join(dist, script), ...args],
    env: { ...stack.identities[app.identity], ...app.env, NODE_ENV: 'production' },
  };
}

export const readStackFile = (path: string): StackFile => JSON.parse(readFileSync(path, 'utf8')) as StackFile;

/** Resolves when the URL answers 200; rejects with the last answer after `seconds`. */
export async function untilReady(
  url: string,
  caFile: string,
  seconds: number,
  gaveUp: () => boolean = () => false,
): Promise<void> {
  const ca = readFileSync(caFile);
  const ends = Date.now() + seconds * 1000;
  let last = 'no answer';
  while (Date.now() < ends && !gaveUp()) {
    const status = await new Promise<number | string>((resolve) => {
      const call = request(url, { ca, minVersion: 'TLSv1.3', timeout: 2_000 }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.on('timeout', () => call.destroy(new Error('no answer within 2 s')));
      call.on('error', (error) => {
        resolve(error.message);
      });
      call.end();
    });
    if (status === 200) return;
    last = String(status);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  throw new Error(`${url} is not ready: ${last}`);
}
