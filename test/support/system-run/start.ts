import { stackFile } from '../stack';
import { startServices } from '../system';

/** Before the first file of system tests: services and workers, once for all of them. */
export default async function start(): Promise<void> {
  globalThis.sharedServices = await startServices(stackFile());
}
