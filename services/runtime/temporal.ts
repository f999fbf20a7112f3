import { Client, Connection } from '@temporalio/client';
import { dataConverter } from './payload-codec';

/** A client of Temporal; the connection comes up lazily and again after a break. Closed by the caller. */
export async function connectTemporal(config: {
  readonly TEMPORAL_ADDRESS: string;
  readonly TEMPORAL_NAMESPACE: string;
}): Promise<Client> {
  const connection = Connection.lazy({ address: config.TEMPORAL_ADDRESS });
  return Promise.resolve(new Client({ connection, namespace: config.TEMPORAL_NAMESPACE, dataConverter }));
}
