import type { PlanSummary, TaskState } from '../../proto/aats/project/v1/project_pb';
import { ServiceFailure } from '../runtime/failure-status';
import type { Upstream } from './upstream';

export interface PlanState {
  readonly plan: PlanSummary;
  readonly tasks: readonly TaskState[];
}
export interface Following {
  /** The newest state; undefined until the first has come. */
  current(): PlanState | undefined;
  /** Whether the stream stands; false while it is being opened again. */
  isLive(): boolean;
  stop(): void;
}
export interface PlanHub {
  /** What a reader already follows, for a page that is opened meanwhile. */
  current(planId: string): PlanState | undefined;
  /** Calls `changed` after each change, and when the stream breaks or stands again. Who follows must have been authorised. */
  follow(planId: string, token: string, changed: () => void): Following;
}

interface Followed {
  plan: PlanSummary | undefined;
  readonly tasks: Map<string, TaskState>;
  order: string[];
  live: boolean;
  token: string;
  readonly readers: Set<() => void>;
  readonly stop: AbortController;
}

const retryMs = 2000;
const final = ['succeeded', 'failed', 'cancelled'];

/** One watch of a plan in this process, however many people look at it; it ends with the last reader. */
export function createPlanHub(upstream: Pick<Upstream, 'plans'>): PlanHub {
  const all = new Map<string, Followed>();
  const stateOf = (one: Followed | undefined): PlanState | undefined =>
    one?.plan && { plan: one.plan, tasks: one.order.flatMap((id) => one.tasks.get(id) ?? []) };
  const tell = (one: Followed): void => {
    for (const changed of one.readers) changed();
  };
  const put = (one: Followed, tasks: readonly TaskState[]): void => {
    for (const task of tasks) {
      // A new item stands after its parent's last one, as in the plan.
      if (!one.tasks.has(task.id)) {
        const before =
          task.parent === undefined
            ? -1
            : one.order.findLastIndex((id) => id === task.parent || one.tasks.get(id)?.parent === task.parent);
        if (before < 0) one.order.push(task.id);
        else one.order.splice(before + 1, 0, task.id);
      }
      one.tasks.set(task.id, task);
    }
  };
  const read = async (planId: string, one: Followed): Promise<void> => {
    for await (const { event } of upstream.plans.watchPlan({ planId }, { token: one.token, signal: one.stop.signal })) {
      if (event.case === 'snapshot') {
        one.tasks.clear();
        one.order = [];
        one.plan = event.value.plan;
        put(one, event.value.tasks);
      } else if (event.case === 'change') {
        if (event.value.plan) one.plan = event.value.plan;
        put(one, event.value.tasks);
      } else continue;
      one.live = true;
      tell(one);
    }
  };
  const run = async (planId: string, one: Followed): Promise<void> => {
    while (!one.stop.signal.aborted && !(one.plan && final.includes(one.plan.state))) {
      try {
        await read(planId, one);
      } catch (error) {
        if (error instanceof ServiceFailure && ['PlanNotFound', 'PermissionDenied'].includes(error.type)) break;
      }
      if (one.plan && final.includes(one.plan.state)) break;
      one.live = false;
      tell(one);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, retryMs);
        one.stop.signal.addEventListener(
          'abort',
          () => {
            clearTimeout(timer);
            resolve();
          },
          { once: true },
        );
      });
    }
  };
  return {
    current: (planId) => {
      const one = all.get(planId);
      return one?.live === true ? stateOf(one) : undefined;
    },
    follow(planId, token, changed) {
      const known = all.get(planId);
      const one: Followed = known ?? {
        plan: undefined,
        tasks: new Map(),
        order: [],
        live: false,
        token,
        readers: new Set(),
        stop: new AbortController(),
      };
      one.token = token; // the newest lives longest
      const reader = (): void => {
        changed();
      };
      one.readers.add(reader);
      if (!known) {
        all.set(planId, one);
        void run(planId, one);
      }
      return {
        current: () => stateOf(one),
        isLive: () => one.live,
        stop: () => {
          one.readers.delete(reader);
          if (one.readers.size > 0) return;
          one.stop.abort();
          if (all.get(planId) === one) all.delete(planId);
        },
      };
    },
  };
}
