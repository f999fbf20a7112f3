import { failure } from '../../workflows/contracts/failures';
import type { AgentRegistration, Transport } from '../../workflows/contracts/messages';
import { byPlan } from '../by-plan';
import { answering } from './answering';
import type { RedisCluster } from './redis';

export interface AttemptKey {
  readonly planId: string;
  readonly taskId: string;
  readonly attempt: number;
}
/** An attempt and the agent that has it. */
export interface HeldAttempt extends AttemptKey {
  readonly agent: string;
}
/** An attempt and how often it is heard of. */
export interface RunningAttempt extends AttemptKey {
  readonly heartbeatMs: number;
}
export interface PresentAgent extends AgentRegistration {
  readonly identity: string;
  readonly state: 'ready' | 'draining';
  readonly running: number;
  readonly registeredAt: string;
  readonly lastHeardAt: string;
}

/**
 * What is known of running agents; everything here has a lifetime and may be lost: agents say it again. Rejects with
 * StoreUnavailable when Redis has not answered for some seconds.
 */
export interface Presence {
  /**
   * Throws what `register` would: TransportConflict while agents serve a capability otherwise, PermissionDenied while
   * the id is that of an agent with another identity.
   */
  mayRegister(agent: AgentRegistration, identity: string): Promise<void>;
  /** Makes the agent known, or replaces what it said. One that drains goes on draining, unless it is another instance. */
  register(agent: AgentRegistration, identity: string): Promise<PresentAgent>;
  /**
   * A sign of life of the agent and of its attempts; throws AgentNotFound when it is not known (any more), and
   * PermissionDenied when another identity registered it.
   */
  heartbeat(
    agentId: string,
    identity: string,
    running: readonly RunningAttempt[],
  ): Promise<{ readonly cancel: readonly AttemptKey[]; readonly drain: boolean }>;
  /** Until another instance of it registers; one that gives no instance is another one when it was away. */
  drain(agentId: string): Promise<PresentAgent>;
  /** As an agent itself: throws PermissionDenied when another identity registered it. */
  drainAs(agentId: string, identity: string): Promise<PresentAgent>;
  get(agentId: string): Promise<PresentAgent>;
  list(): Promise<readonly PresentAgent[]>;
  /** Transports of capabilities that were ever offered. */
  transports(capabilities: readonly string[]): Promise<ReadonlyMap<string, Transport>>;
  knownCapabilities(): Promise<ReadonlyMap<string, Transport>>;
  /** Capabilities that were ever served over RabbitMQ: their queues exist. */
  queuedCapabilities(): Promise<readonly string[]>;
  /** Attempts began: two missed heartbeats end each. */
  lease(attempts: readonly (HeldAttempt & { readonly heartbeatMs: number })[]): Promise<void>;
  release(attempts: readonly HeldAttempt[]): Promise<void>;
  /** Leases that ran out; they stay until released, so a crash here loses none. */
  expired(limit: number): Promise<readonly HeldAttempt[]>;
  /**
   * Says that somebody hears signs of life now. When nobody did for a while, over a restart or an outage, all leases
   * last as much longer, and some seconds more in which agents find the way again; gives by how many ms.
   */
  listening(): Promise<number>;
  /** Remembers, for as long as they may wait on a bus, that these attempts are to stop, or not to begin. */
  cancel(attempts: readonly AttemptKey[]): Promise<void>;
  ping(): Promise<unknown>;
}

const index = 'presence:index';
const leases = 'leases:attempts';
const listenedAt = 'leases:listened';
const capabilities = 'capability:transports';
const queued = 'capability:queued';
const agentKey = (agentId: string): string => `presence:agent:${agentId}`;
const drainKey = (agentId: string): string => `presence:draining:${agentId}`;
const servingKey = (capability: string): string => `capability:agents:${capability}`;
const cancelKey = (planId: string): string => `cancel:${planId}`;
const cancelMember = ({ taskId, attempt }: AttemptKey): string => `${taskId}/${attempt}`;
const member = ({ planId, taskId, attempt, agent }: HeldAttempt): string => `${planId} ${taskId} ${attempt} ${agent}`;
const dayMs = 86_400_000;
/** As long as Kafka keeps tasks. */
const cancelledMs = 7 * dayMs;

/** Time that the way of a lost task to its next agent takes: part of the two heartbeats, not added to them. */
const handOverMs = 200;
const leaseMs = (heartbeatMs: number): number => Math.max(heartbeatMs, 2 * heartbeatMs - handOverMs);
/** A gap in listening that is none of a busy process. */
const deafAfterMs = 2000;
/** As long as clients of ours pause at most, after an outage of some seconds, before they connect again. */
const findsAgainMs = 3000;

export function createPresence(redis: RedisCluster, options: { readonly expiresMs: number }): Presence {
  const { expiresMs } = options;
  const read = async (agentId: string): Promise<PresentAgent | undefined> => {
    const [text, draining] = await Promise.all([redis.get(agentKey(agentId)), redis.exists(drainKey(agentId))]);
    if (text === null) return undefined;
    const agent = JSON.parse(text) as PresentAgent;
    return draining === 1 ? { ...agent, state: 'draining' } : agent;
  };
  const known = async (agentId: string): Promise<PresentAgent> => {
    const agent = await read(agentId);
    if (!agent) throw failure('AgentNotFound', `agent ${agentId} is not present`);
    return agent;
  };
  const keep = async (agent: PresentAgent): Promise<PresentAgent> => {
    const expiresAt = Date.now() + expiresMs;
    await redis.set(agentKey(agent.agentId), JSON.stringify({ ...agent, state: 'ready' }), 'PX', expiresMs);
    await redis.zadd(index, expiresAt, agent.agentId);
    for (const { name } of agent.capabilities) await redis.zadd(servingKey(name), expiresAt, agent.agentId);
    return agent;
  };
  const lease: Presence['lease'] = async (attempts) => {
    const now = Date.now();
    const scored = attempts.flatMap((one) => [now + leaseMs(one.heartbeatMs), member(one)]);
    if (scored.length > 0) await redis.zadd(leases, ...scored);
  };
  const transports = async (): Promise<Map<string, Transport>> =>
    new Map(Object.entries(await redis.hgetall(capabilities)) as [string, Transport][]);
  /** Throws while others serve the capability over the other bus. */
  const refuseConflict = async (capability: string, { agentId, transport }: AgentRegistration): Promise<void> => {
    const now = await redis.hget(capabilities, capability);
    if (now === null || now === transport) return;
    await redis.zremrangebyscore(servingKey(capability), '0', String(Date.now()));
    const others = (await redis.zrangebyscore(servingKey(capability), '0', '+inf')).filter((id) => id !== agentId);
    if (others.length > 0)
      throw failure(
        'TransportConflict',
        `capability ${capability} is served over ${now} by ${others[0] ?? ''}; stop those agents first`,
      );
  };
  /** Said before it is looked whether others serve it: of two that come at once, at least one then sees the other. */
  const claim = async (capability: string, agent: AgentRegistration): Promise<void> => {
    await redis.zadd(servingKey(capability), Date.now() + expiresMs, agent.agentId);
    await redis.hsetnx(capabilities, capability, agent.transport);
    try {
      await refuseConflict(capability, agent);
    } catch (error) {
      await redis.zrem(servingKey(capability), agent.agentId);
      throw error;
    }
    await redis.hset(capabilities, capability, agent.transport);
  };
  const refuseForeign = (agent: PresentAgent | undefined, identity: string): void => {
    if (agent && agent.identity !== identity)
      throw failure(
        'PermissionDenied',
        `agent ${agent.agentId} was registered by ${agent.identity}, not by ${identity}`,
      );
  };

  const drain: Presence['drain'] = async (agentId) => {
    const agent = await known(agentId);
    await redis.set(drainKey(agentId), agent.instance ?? '', 'PX', dayMs);
    return { ...agent, state: 'draining' };
  };

  return answering<Presence>('Redis', {
    async mayRegister(agent, identity) {
      refuseForeign(await read(agent.agentId), identity);
      for (const { name } of agent.capabilities) await refuseConflict(name, agent);
    },
    async register(agent, identity) {
      const before = await read(agent.agentId);
      refuseForeign(before, identity);
      const names = agent.capabilities.map(({ name }) => name);
      for (const name of names) await claim(name, agent);
      if (agent.transport === 'rabbitmq') await redis.sadd(queued, ...names);
      const drained = await redis.get(drainKey(agent.agentId));
      const drains = drained === (agent.instance ?? '') && (agent.instance !== undefined || before !== undefined);
      if (!drains) await redis.del(drainKey(agent.agentId));
      const now = new Date().toISOString();
      return keep({
        ...agent,
        identity,
        state: drains ? 'draining' : 'ready',
        running: before?.running ?? 0,
        registeredAt: before?.registeredAt ?? now,
        lastHeardAt: now,
      });
    },
    async heartbeat(agentId, identity, running) {
      const agent = await known(agentId);
      refuseForeign(agent, identity);
      await keep({ ...agent, running: running.length, lastHeardAt: new Date().toISOString() });
      await lease(running.map((one) => ({ ...one, agent: agentId })));
      const cancelled = await Promise.all(
        [...byPlan(running)].map(async ([planId, ofPlan]) => {
          const answers = await redis.smismember(cancelKey(planId), ...ofPlan.map(cancelMember));
          return ofPlan.filter((_, at) => answers[at] === 1);
        }),
      );
      return {
        cancel: cancelled.flat().map(({ planId, taskId, attempt }) => ({ planId, taskId, attempt })),
        drain: agent.state === 'draining',
      };
    },
    drain,
    async drainAs(agentId, identity) {
      refuseForeign(await known(agentId), identity);
      return drain(agentId);
    },
    get: known,
    async list() {
      await redis.zremrangebyscore(index, '0', String(Date.now() - dayMs));
      const ids = await redis.zrangebyscore(index, Date.now(), '+inf');
      const agents = await Promise.all(ids.map(read));
      return agents.filter((agent) => agent !== undefined);
    },
    async transports(names) {
      const all = await transports();
      return new Map(
        names.flatMap((name) => {
          const transport = all.get(name);
          return transport === undefined ? [] : [[name, transport] as const];
        }),
      );
    },
    knownCapabilities: transports,
    queuedCapabilities: () => redis.smembers(queued),
    lease,
    async release(attempts) {
      if (attempts.length > 0) await redis.zrem(leases, ...attempts.map(member));
    },
    async expired(limit) {
      const members = await redis.zrangebyscore(leases, 0, Date.now(), 'LIMIT', 0, limit);
      return members.map((text) => {
        const [planId = '', taskId = '', attempt = '0', agent = ''] = text.split(' ');
        return { planId, taskId, attempt: Number(attempt), agent };
      });
    },
    async listening() {
      const before = Number((await redis.getset(listenedAt, String(Date.now()))) ?? Date.now());
      const deaf = Date.now() - before;
      if (deaf < deafAfterMs) return 0;
      const held = await redis.zrange(leases, '0', '-1', 'WITHSCORES');
      const longer = held.flatMap((text, at) =>
        at % 2 === 0 ? [Number(held[at + 1]) + deaf + findsAgainMs, text] : [],
      );
      if (longer.length > 0) await redis.zadd(leases, 'XX', ...longer);
      return deaf + findsAgainMs;
    },
    async cancel(attempts) {
      await Promise.all(
        [...byPlan(attempts)].map(async ([planId, ofPlan]) => {
          await redis.sadd(cancelKey(planId), ...ofPlan.map(cancelMember));
          await redis.pexpire(cancelKey(planId), cancelledMs);
        }),
      );
    },
    ping: () => redis.hlen(capabilities),
  });
}
