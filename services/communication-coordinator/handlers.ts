import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { JsonObject as ProtoJson } from '@bufbuild/protobuf';
import type { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import type { AttemptKey, Presence, PresentAgent } from '../../activities/stores/presence';
import { failure } from '../../workflows/contracts/failures';
import type { AgentRegistration, Transport } from '../../workflows/contracts/messages';
import { type EventName, validateMessage } from '../../activities/buses/message-schemas';
import type { Handlers } from '../runtime/grpc';
import { nameOf } from '../runtime/identity';
import type { Topology } from './topology';

const duration = (milliseconds: number) => ({
  seconds: BigInt(Math.floor(milliseconds / 1000)),
  nanos: (milliseconds % 1000) * 1_000_000,
});

export interface RegistryOptions {
  readonly presence: Presence;
  readonly topology: Topology;
  readonly heartbeatMs: number;
  /** An agent serves capabilities whose topics may be new, or that were served otherwise before. */
  readonly onServed: () => void;
  /** Tasks published but not begun, by capability, as they were measured last. */
  readonly queueLengths: () => ReadonlyMap<string, number>;
  /** For agents that have only the bus: those on gRPC hear the same in the answer to their next sign of life. */
  readonly announce: Announcements;
}
export interface Announcements {
  cancel(attempts: readonly AttemptKey[]): Promise<void>;
  drain(agentId: string): Promise<void>;
}

/** What comes over gRPC fits the same schema as what comes over a bus. Throws InvalidInput with everything that does not. */
function refuseMessage(event: EventName, data: object, message: string): void {
  const details = validateMessage(event, data);
  if (details.length > 0) throw failure('InvalidInput', message, { details });
}

/** Registers an agent, over whichever way it came. */
export function createRegistration({ presence, topology, onServed }: RegistryOptions) {
  return async (registration: AgentRegistration, identity: string): Promise<PresentAgent> => {
    refuseMessage('agentRegistered', registration, 'the registration is wrong');
    await presence.mayRegister(registration, identity);
    // The way first: as soon as the agent is known, tasks are sent.
    for (const { name } of registration.capabilities) await topology.ensure(name, registration.transport);
    const agent = await presence.register(registration, identity);
    onServed();
    return agent;
  };
}

export function createCoordinatorHandlers(options: RegistryOptions): Handlers<typeof CommunicationCoordinator> {
  const { presence, topology, heartbeatMs, announce, queueLengths } = options;
  const register = createRegistration(options);
  return {
    async registerAgent(request, { caller }) {
      await register(
        {
          agentId: request.agentId,
          ...(request.instance !== '' && { instance: request.instance }),
          transport: request.transport as Transport,
          capacity: request.capacity,
          capabilities: request.capabilities.map(({ name, description, input, output }) => ({
            name,
            description,
            ...(input && { input }),
            ...(output && { output }),
          })),
        },
        nameOf(caller),
      );
      return { heartbeat: duration(heartbeatMs) };
    },
    async heartbeat({ agentId, running }, { caller }) {
      const attempts = running.map(({ attempt, heartbeat }) => ({
        planId: attempt?.planId ?? '',
        taskId: attempt?.taskId ?? '',
        attempt: attempt?.attempt ?? 0,
        heartbeatMs: Math.max(100, Number(heartbeat?.seconds ?? 0n) * 1000 + Math.round((heartbeat?.nanos ?? 0) / 1e6)),
      }));
      refuseMessage('agentHeartbeat', { agentId, running: attempts }, 'the sign of life is wrong');
      const { cancel, drain } = await presence.heartbeat(agentId, nameOf(caller), attempts);
      return { cancel: cancel.map((one) => ({ ...one })), drain };
    },
    async drainAgent({ agentId }, { caller }) {
      if (caller.kind === 'agent') return { agent: toProto(await presence.drainAs(agentId, nameOf(caller))) };
      const agent = await presence.drain(agentId);
      await announce.drain(agentId);
      return { agent: toProto(agent) };
    },
    async listAgents({ capability }) {
      const agents = (await presence.list()).filter(
        (agent) => capability === '' || agent.capabilities.some(({ name }) => name === capability),
      );
      const lengths = [...queueLengths()].filter(([name]) => capability === '' || name === capability);
      return {
        agents: agents.map(toProto),
        queued: Object.fromEntries(lengths.map(([name, length]) => [name, BigInt(length)])),
      };
    },
    async getAgent({ agentId }, { caller }) {
      const agent = await presence.get(agentId);
      if (caller.kind === 'agent' && agent.identity !== nameOf(caller))
        throw failure('PermissionDenied', `agent ${agentId} was registered by another than ${nameOf(caller)}`);
      return { agent: toProto(agent) };
    },
    async resolveRoutes({ capabilities }) {
      const known = await presence.transports(capabilities);
      // Nobody has offered it yet: Kafka's topic keeps its tasks until somebody does.
      for (const capability of capabilities) if (!known.has(capability)) await topology.ensure(capability, 'kafka');
      return {
        transports: Object.fromEntries(capabilities.map((name) => [name, known.get(name) ?? 'kafka'])),
        known: [...known.keys()],
      };
    },
    async cancelAttempts({ attempts }) {
      const refs = attempts.map(({ planId, taskId, attempt }) => ({ planId, taskId, attempt }));
      await presence.cancel(refs);
      await announce.cancel(refs);
      return {};
    },
  };
}

export const toProto = (agent: PresentAgent) => ({
  agentId: agent.agentId,
  transport: agent.transport,
  capacity: agent.capacity,
  capabilities: agent.capabilities.map(({ name, description = '', input, output }) => ({
    name,
    description,
    ...(input && { input: input as ProtoJson }),
    ...(output && { output: output as ProtoJson }),
  })),
  state: agent.state,
  running: agent.running,
  registeredAt: timestampFromDate(new Date(agent.registeredAt)),
  lastHeardAt: timestampFromDate(new Date(agent.lastHeardAt)),
  identity: agent.identity,
});
