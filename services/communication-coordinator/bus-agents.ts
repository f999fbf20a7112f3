import type { Presence, PresentAgent } from '../../activities/stores/presence';
import { ApplicationFailure } from '@temporalio/common';
import type { AgentRegistration } from '../../workflows/contracts/messages';
import type { Logger } from '../runtime/logger';
import type { Announcements } from './handlers';
import type { AgentEvent } from './report-intake';

/** Whoever has the buses' credentials and no certificate: one identity, apart from all that have one. */
const identity = 'bus/agent';

/**
 * Agents that have only the bus. What cannot be done for good rejects with the reason; a sign of life never does. One
 * that has missed what it was to hear hears it again, when it says something that shows so.
 */
export function createBusAgents(
  presence: Presence,
  register: (registration: AgentRegistration, identity: string) => Promise<PresentAgent>,
  announce: Announcements,
  logger: Logger,
) {
  return async ({ name, data }: AgentEvent): Promise<void> => {
    switch (name) {
      case 'agentRegistered':
        if ((await register(data, identity)).state === 'draining') await announce.drain(data.agentId);
        return;
      case 'agentHeartbeat':
        try {
          const { cancel } = await presence.heartbeat(data.agentId, identity, data.running);
          if (cancel.length > 0) await announce.cancel(cancel);
        } catch (error) {
          if (error instanceof ApplicationFailure && error.type === 'PermissionDenied') throw error;
          // The next one tells more than this one again. Of an agent that is not known any more, its work still is.
          logger.info({ err: error, agentId: data.agentId }, 'a sign of life was of no use');
          const held = data.running.map((one) => ({ ...one, agent: data.agentId }));
          await presence.lease(held).catch(() => undefined);
        }
        return;
      case 'agentDraining':
        await presence.drainAs(data.agentId, identity);
    }
  };
}
