/** After the last file of system tests. */
export default async function stop(): Promise<void> {
  await globalThis.sharedServices?.supervisor.stopAll(10);
}
