import { chmodSync, mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { loadConfig } from '../services/runtime/config';
import { runProcess } from '../services/runtime/shutdown';
import { capabilityPattern } from '../workflows/contracts/plan';
import { createCapabilities } from './capabilities';
import { isolation } from './command/isolation';
import { workConfig } from './config';
import { agentConfig } from './sdk/agent-config';
import { runAgent } from './sdk/agent';

const { values } = parseArgs({
  options: {
    'agent-id': { type: 'string' },
    transport: { type: 'string', default: 'kafka' },
    capacity: { type: 'string', default: '4' },
    capabilities: { type: 'string', default: 'echo' },
  },
});
const choice = z
  .object({
    agentId: z.string().regex(capabilityPattern, '--agent-id must be lower-case letters, digits and hyphens'),
    transport: z.enum(['kafka', 'rabbitmq']),
    capacity: z.coerce.number().int().min(1).max(10_000),
    capabilities: z.array(z.string()).min(1),
  })
  .parse({ ...values, agentId: values['agent-id'], capabilities: values.capabilities.split(',') });

/** A process of shipped agents; which capabilities it offers, over which bus, are its arguments. */
runProcess(choice.agentId, async (lifecycle) => {
  const config = loadConfig(workConfig.extend(agentConfig.shape), process.env);
  mkdirSync(config.AATS_AGENT_DATA_DIR, { recursive: true, mode: 0o700 });
  // Who runs programs must get to their folders below it, and need not see what else is there.
  if (config.AATS_PROGRAM_USER !== undefined) chmodSync(config.AATS_AGENT_DATA_DIR, 0o711);
  const all = createCapabilities(config, process.env);
  const chosen = choice.capabilities.map((name) => {
    const found = all.find((one) => one.name === name);
    if (!found) throw new Error(`there is no capability ${name}; there are ${all.map((one) => one.name).join(', ')}`);
    return found;
  });
  const { processes, cutsNetwork } = isolation();
  if (processes === 0)
    lifecycle.logger.warn('programs run without a process namespace: one that hides well can outlive its task');
  if (!cutsNetwork) lifecycle.logger.warn('programs cannot be kept from the network of this machine');
  if (process.getuid?.() === 0 && config.AATS_PROGRAM_USER === undefined)
    lifecycle.logger.warn('programs of tasks run as root: AATS_PROGRAM_USER names another user');
  await runAgent(
    { agentId: choice.agentId, transport: choice.transport, capacity: choice.capacity, capabilities: chosen, config },
    lifecycle,
  );
});
