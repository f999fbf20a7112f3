import { z } from 'zod';
import { runAgent } from '../../agents/sdk/agent';
import { agentConfig } from '../../agents/sdk/agent-config';
import { capability } from '../../agents/work';
import { loadConfig } from '../../services/runtime/config';
import { runProcess } from '../../services/runtime/shutdown';

const countWords = capability({
  name: 'count-words',
  description: 'Counts the words of a text',
  input: z.strictObject({ text: z.string() }),
  output: z.object({ words: z.number().int() }),
  run: ({ text }, work) => {
    work.progress('counting');
    return Promise.resolve({ words: text.split(/\s+/).filter(Boolean).length });
  },
});

runProcess('own-agent', (lifecycle) => {
  const config = loadConfig(agentConfig, process.env);
  return runAgent(
    { agentId: 'own-1', transport: 'rabbitmq', capacity: 4, capabilities: [countWords], config },
    lifecycle,
  );
});
