import { NativeConnection, Worker } from '@temporalio/worker';

/** The bare workflow's worker, a process of its own as ours are. */
async function main(): Promise<void> {
  const connection = await NativeConnection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? '' });
  const worker = await Worker.create({
    connection,
    namespace: process.env['TEMPORAL_NAMESPACE'] ?? '',
    taskQueue: 'bench-bare',
    workflowsPath: require.resolve('./bare'),
    activities: { echo: (value: { readonly n: number }) => Promise.resolve(value) },
    maxConcurrentActivityTaskExecutions: 1000,
  });
  process.on('SIGTERM', () => {
    worker.shutdown();
  });
  await worker.run();
  await connection.close();
}

void main();
