/** One value of the specification that no laptop has, scaled down in the local stack. */
export interface ScaledDown {
  readonly server: string;
  readonly setting: string;
  readonly specification: string;
  readonly here: string;
  readonly reason: string;
}

/**
 * Every value in which the local stack departs from the specification. All others are the specification's; a test
 * reads them back from the running servers. Production's values stand where production is described.
 */
export const scaledDown: readonly ScaledDown[] = [
  {
    server: 'postgres',
    setting: 'shared_buffers',
    specification: '8GB',
    here: '64MB',
    reason: 'the whole stack rests under 4 GiB',
  },
  {
    server: 'postgres',
    setting: 'effective_cache_size',
    specification: '24GB',
    here: '1GB',
    reason: 'tells the planner what a laptop has',
  },
  {
    server: 'postgres',
    setting: 'maintenance_work_mem',
    specification: '2GB',
    here: '64MB',
    reason: 'the whole stack rests under 4 GiB',
  },
  {
    server: 'redis',
    setting: 'maxmemory',
    specification: '12GB',
    here: '64mb',
    reason: 'for each of six nodes on one machine',
  },
  {
    server: 'mongo',
    setting: 'wiredTigerCache',
    specification: '16GB',
    here: 'none',
    reason: 'FerretDB keeps its data in PostgreSQL; no package registry has mongod',
  },
  {
    server: 'mongo',
    setting: 'replicaSet',
    specification: 'yes',
    here: 'no',
    reason: 'FerretDB has none, so no majority to read from or write to; PostgreSQL commits each write',
  },
  {
    server: 'mongo',
    setting: 'sharding',
    specification: 'yes',
    here: 'no',
    reason: 'FerretDB has none; artifacts do not rely on it',
  },
  {
    server: 'neo4j',
    setting: 'server.memory.pagecache.size',
    specification: '16GB',
    here: '64m',
    reason: 'the whole stack rests under 4 GiB',
  },
  {
    server: 'neo4j',
    setting: 'server.memory.heap.max_size',
    specification: '16GB',
    here: '256m',
    reason: 'the whole stack rests under 4 GiB',
  },
  {
    server: 'neo4j',
    setting: 'clustering',
    specification: 'enabled',
    here: 'no',
    reason: 'Enterprise only; lineage is a projection that can be rebuilt',
  },
  {
    server: 'rabbitmq',
    setting: 'vm_memory_high_watermark',
    specification: 'not given',
    here: '512MB',
    reason: 'back-pressure before the machine swaps',
  },
  {
    server: 'kafka',
    setting: 'replication.factor',
    specification: '3',
    here: '1',
    reason: 'one broker unless --brokers 3',
  },
];

export function here(server: string, setting: string): string {
  const entry = scaledDown.find((one) => one.server === server && one.setting === setting);
  if (!entry) throw new Error(`limits.ts has no ${server} ${setting}`);
  return entry.here;
}
