/** Task queues, by what a worker must hold to serve them (docs/architecture, decision "task queues"). */
export const taskQueues = {
  /** Workflows and the local dispatch: a bus identity that may only publish. */
  plans: 'plans',
  /** The same dispatch as a remote activity, for when the bus is slow. */
  bus: 'bus',
  /** The artifact store: snapshots beyond the inline limit. */
  data: 'data',
} as const;
export type TaskQueue = keyof typeof taskQueues;
