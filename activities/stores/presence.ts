import { failure } from '../../workflows/contracts/failures';
import type { AgentRegistration, Transport } from '../../workflows/contracts/messages';
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
export interface PresentAgent extends AgentRegistration {
  readonly identity: string;
  readonly state: 'ready' | 'draining';
  readonly running: number;
  readonly registeredAt: string;
  readonly lastHeardAt: string;
}

/** What is known of running agents; everything here has a lifetime and may be lost: agents say it again. */
export interface Presence {
  /** Makes the agent known, or replaces what it said. Throws TransportConflict while agents serve a capability otherwise. */
  register(agent: AgentRegistration, identity: string): Promise<PresentAgent>;
  /** A sign of life of the agent and of its attempts; throws AgentNotFound when it is not known (any more). */
  heartbeat(
    agentId: string,
    running: readonly (AttemptKey & { readonly heartbeatMs: number })[],
  ): Promise<{ readonly cancel: readonly AttemptKey[]; readonly drain: boolean }>;
  drain(agentId: string): Promise<PresentAgent>;
  get(agentId: string): Promise<PresentAgent>;
  list(): Promise<readonly PresentAgent[]>;
  /** Transports of capabilities that were ever offered. */
  transports(capabilities: readonly string[]): Promise<ReadonlyMap<string, Transport>>;
  knownCapabilities(): Promise<ReadonlyMap<string, Transport>>;
  /** Attempts began: two missed heartbeats end each. */
  lease(attempts: readonly (HeldAttempt & { readonly heartbeatMs: number })[]): Promise<void>;
  release(attempts: readonly HeldAttempt[]): Promise<void>;
  /** Leases that ran out; they stay until released, so a crash here loses none. */
  expired(limit: number): Promise<readonly HeldAttempt[]>;
  /** Remembers for a day that these attempts are to stop. */
  cancel(attempts: readonly AttemptKey[]): Promise<void>;
  ping(): Promise<unknown>;
}

const index = 'presence:index';
const leases = 'leases:attempts';
const capabilities = 'capability:transports';
const agentKey = (agentId: string): string => `presence:agent:${agentId}`;
const servingKey = (capability: string): string => `capability:agents:${capability}`;
const cancelKey = ({ planId, taskId, attempt }: AttemptKey): string => `cancel:${planId}/${taskId}/${attempt}`;
const member = ({ planId, taskId, attempt, agent }: HeldAttempt): string => `${planId} ${taskId} ${attempt} ${agent}`;
const dayMs = 86_400_000;

/** Time that the way of a lost task to its next agent takes: part of the two heartbeats, not added to them. */
const handOverMs = 200;
const leaseMs = (heartbeatMs: number): number => Math.max(heartbeatMs, 2 * heartbeatMs - handOverMs);

export function createPresence(redis: RedisCluster, options: { readonly expiresMs: number }): Presence {
  const { expiresMs } = options;
  const read = async (agentId: string): Promise<PresentAgent | undefined> => {
    const text = await redis.get(agentKey(agentId));
    return text === null ? undefined : (JSON.parse(text) as PresentAgent);
  };
  const known = async (agentId: string): Promise<PresentAgent> => {
    const agent = await read(agentId);
    if (!agent) throw failure('AgentNotFound', `agent ${agentId} is not present`);
    return agent;
  };
  const keep = async (agent: PresentAgent): Promise<PresentAgent> => {
    const expiresAt = Date.now() + expiresMs;
    await redis.set(agentKey(agent.agentId), JSON.stringify(agent), 'PX', expiresMs);
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

  return {
    async register(agent, identity) {
      const fixed = await transports();
      for (const { name } of agent.capabilities) {
        const transport = fixed.get(name);
        if (transport === undefined || transport === agent.transport) continue;
        await redis.zremrangebyscore(servingKey(name), '0', String(Date.now()));
        const others = (await redis.zrangebyscore(servingKey(name), '0', '+inf')).filter((id) => id !== agent.agentId);
        if (others.length > 0)
          throw failure(
            'TransportConflict',
            `capability ${name} is served over ${transport} by ${others[0] ?? ''}; stop those agents first`,
          );
      }
      for (const { name } of agent.capabilities) await redis.hset(capabilities, name, agent.transport);
      const before = await read(agent.agentId);
      const now = new Date().toISOString();
      return keep({
        ...agent,
        identity,
        state: 'ready',
        running: before?.running ?? 0,
        registeredAt: before?.registeredAt ?? now,
        lastHeardAt: now,
      });
    },
    async heartbeat(agentId, running) {
      const agent = await known(agentId);
      await keep({ ...agent, running: running.length, lastHeardAt: new Date().toISOString() });
      await lease(running.map((one) => ({ ...one, agent: agentId })));
      const wanted = await Promise.all(running.map((one) => redis.exists(cancelKey(one))));
      return {
        cancel: running
          .filter((_, at) => wanted[at] === 1)
          .map(({ planId, taskId, attempt }) => ({ planId, taskId, attempt })),
        drain: agent.state === 'draining',
      };
    },
    drain: async (agentId) => keep({ ...(await known(agentId)), state: 'draining' }),
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
    async cancel(attempts) {
      await Promise.all(attempts.map((one) => redis.set(cancelKey(one), '1', 'PX', dayMs)));
    },
    ping: () => redis.hlen(capabilities),
  };
}
