import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { agentConfig } from '../../agents/sdk/agent-config';
import { runAgent } from '../../agents/sdk/agent';
import { capability } from '../../agents/work';
import { loadConfig } from '../../services/runtime/config';
import { runProcess } from '../../services/runtime/shutdown';
import { openLedger } from './ledger';

const { values } = parseArgs({
  options: {
    'agent-id': { type: 'string', default: '' },
    transport: { type: 'string', default: 'kafka' },
    capability: { type: 'string', default: '' },
    ledger: { type: 'string', default: '' },
  },
});
const agentId = values['agent-id'];
const ledger = openLedger(values.ledger);

/** An agent whose work leaves a mark outside: an entry in a ledger, after a while. */
runProcess(agentId, (lifecycle) =>
  runAgent(
    {
      agentId,
      transport: z.enum(['kafka', 'rabbitmq']).parse(values.transport),
      capacity: 4,
      config: loadConfig(agentConfig, process.env),
      capabilities: [
        capability({
          name: values.capability,
          description: 'Makes an entry in the ledger',
          input: z.strictObject({ forMs: z.number().int(), wave: z.number().int().default(0) }),
          output: z.object({ token: z.string() }),
          needsFolder: false,
          run: async ({ forMs, wave }, work) => {
            while (!ledger.isOpen(wave)) await setTimeout(20, undefined, { signal: work.signal });
            const task = work.idempotencyKey;
            ledger.began({ task, agent: agentId, at: new Date().toISOString() });
            await setTimeout(forMs / 2, undefined, { signal: work.signal });
            const { token } = ledger.apply(task, { token: randomUUID().slice(0, 8), agent: agentId });
            await setTimeout(forMs / 2, undefined, { signal: work.signal });
            return { token };
          },
        }),
      ],
    },
    lifecycle,
  ),
);
