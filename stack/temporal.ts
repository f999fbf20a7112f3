import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { join } from 'node:path';
import { searchAttributes } from '../workflows/contracts/plan';
import type { Server, StackContext } from './server';

export const namespace = 'aats';
// temporal.api.enums.v1.IndexedValueType
const keyword = 2;
const bool = 5;
const keywordList = 7;
const attributeTypes: Readonly<Record<keyof typeof searchAttributes, number>> = {
  kind: keyword,
  planId: keyword,
  planName: keyword,
  status: keyword,
  owner: keyword,
  waitingForPerson: bool,
  waitingFor: keywordList,
};

// Measured, design page "temporal shapes", section 9: the defaults make single plans wait for polls 20 times a second.
const dynamicConfig = {
  'history.transferProcessorMaxPollRPS': 5000,
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  'history.maxInFlightUpdates': 1000,
  'limit.numPendingChildExecutions.error': 2000,
};

/** Makes a namespace with our search attributes; idempotent. `retentionDays` of closed workflows. */
export async function ensureNamespace(address: string, name: string, retentionDays = 7): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    const exists = await connection.workflowService.describeNamespace({ namespace: name }).then(
      () => true,
      () => false,
    );
    if (!exists) {
      await connection.workflowService
        .registerNamespace({ namespace: name, workflowExecutionRetentionPeriod: msToTs(`${retentionDays} days`) })
        .catch((error: unknown) => {
          if (!String(error).includes('already')) throw error;
        });
    }
    const known = await connection.operatorService.listSearchAttributes({ namespace: name });
    const missing = Object.entries(searchAttributes).filter(([, attribute]) => !(attribute in known.customAttributes));
    if (missing.length > 0) {
      await connection.operatorService.addSearchAttributes({
        namespace: name,
        searchAttributes: Object.fromEntries(
          missing.map(([key, attribute]) => [attribute, attributeTypes[key as keyof typeof attributeTypes]]),
        ),
      });
    }
  } finally {
    await connection.close();
  }
}

/** A new namespace is seen by every part of the server only after its cache was refreshed: prepared means usable. */
export async function prepareNamespace(ctx: StackContext, at: string, name: string): Promise<void> {
  await ctx.until(`namespace ${name}`, 30, () => ensureNamespace(at, name));
  await ctx.until('search attributes', 30, async () => {
    const connection = await Connection.connect({ address: at });
    try {
      await connection.workflowService.listWorkflowExecutions({
        namespace: name,
        query: `${searchAttributes.kind} = "none"`,
      });
    } finally {
      await connection.close();
    }
  });
}

const address = (ctx: StackContext): string => `127.0.0.1:${ctx.port('temporal')}`;

/** Temporal's dev server on a file: survives a killed process, not a power loss (WAL, synchronous NORMAL). */
export const temporal: Server = {
  name: 'temporal',
  title: 'Temporal 1.32.0 (dev server, file store)',
  needs: [],
  ports: (ctx) => [ctx.port('temporal'), ctx.port('temporalMetrics')],
  processes: () => ['temporal'],
  replacedBy: 'TEMPORAL_ADDRESS',
  install: async (ctx) => void (await ctx.python()),
  configure: async (ctx) => void (await ctx.serverDir('temporal')),
  async start(ctx) {
    const { temporal: program } = await ctx.python();
    const dir = await ctx.serverDir('temporal');
    await ctx.spawn(
      'temporal',
      program,
      [
        'server',
        'start-dev',
        '--headless',
        '--ip',
        '127.0.0.1',
        '--port',
        String(ctx.port('temporal')),
        '--metrics-port',
        String(ctx.port('temporalMetrics')),
        '--db-filename',
        join(dir, 'temporal.db'),
        '--sqlite-pragma',
        'journal_mode=WAL',
        '--sqlite-pragma',
        'synchronous=NORMAL',
        '--log-level',
        'warn',
        '--log-format',
        'json',
        ...Object.entries(dynamicConfig).flatMap(([key, value]) => [
          '--dynamic-config-value',
          `${key}=${JSON.stringify(value)}`,
        ]),
      ],
      { cwd: dir, env: { HOME: dir } },
    );
  },
  async ready(ctx) {
    const connection = await Connection.connect({ address: address(ctx), connectTimeout: '2s' });
    try {
      await connection.workflowService.listNamespaces({});
    } finally {
      await connection.close();
    }
  },
  provision: (ctx) => prepareNamespace(ctx, address(ctx), namespace),
  stop: (ctx) => ctx.stopProcess('temporal'),
};
