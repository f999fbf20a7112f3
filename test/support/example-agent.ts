import { parseArgs } from 'node:util';
import { z } from 'zod';
import { agentConfig } from '../../agents/sdk/agent-config';
import { runAgent } from '../../agents/sdk/agent';
import { loadConfig } from '../../services/runtime/config';
import { runProcess } from '../../services/runtime/shutdown';
import { exampleCapabilities } from './example-capabilities';

const { values } = parseArgs({
  options: {
    'agent-id': { type: 'string', default: '' },
    transport: { type: 'string', default: '' },
    capacity: { type: 'string', default: '4' },
    capabilities: { type: 'string', default: '' },
    folder: { type: 'string', default: '' },
  },
});
const agentId = values['agent-id'];
const offered = values.capabilities.split(',');

/** An agent of a user's own: it works on files in a folder that stands for the world. */
runProcess(agentId, (lifecycle) =>
  runAgent(
    {
      agentId,
      transport: z.enum(['kafka', 'rabbitmq']).parse(values.transport),
      capacity: Number(values.capacity),
      config: loadConfig(agentConfig, process.env),
      capabilities: exampleCapabilities(values.folder).filter(({ name }) => offered.includes(name)),
    },
    lifecycle,
  ),
);
