import type { Command } from 'commander';
import { z } from 'zod';
import { connected, type Runner } from './command';
import { duration, pad, safe } from './terminal';

const agentList = z.object({
  agents: z.array(
    z.object({
      agentId: z.string(),
      transport: z.string(),
      capacity: z.number(),
      capabilities: z.array(z.object({ name: z.string() })),
      state: z.string(),
      running: z.number().default(0),
      lastHeardAt: z.string(),
    }),
  ),
  queued: z.record(z.string(), z.coerce.number()).default({}),
});

export function addAgentCommands(program: Command, run: Runner): void {
  const agent = program.command('agent').description('agents that are present');
  agent
    .command('list')
    .description('agents, what they can do and how busy they are')
    .option('--capability <name>', 'only those that offer it')
    .action((options: { readonly capability?: string }, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ agents }) => {
          const query = options.capability === undefined ? '' : `?capability=${encodeURIComponent(options.capability)}`;
          const answer = agentList.parse(await agents('GET', `/v1/agents${query}`));
          const { terminal } = context;
          for (const one of answer.agents) {
            if (context.json) {
              context.print(one);
              continue;
            }
            const sign = one.state === 'ready' ? terminal.paint('green', '✓') : terminal.paint('yellow', '‖');
            terminal.line(
              `${sign} ${pad(safe(one.agentId), 26)} ${pad(one.transport, 9)} ${pad(`${one.running} of ${one.capacity}`, 10)} ${pad(`heard ${duration(Date.now() - Date.parse(one.lastHeardAt))} ago`, 18)} ${one.capabilities.map(({ name }) => safe(name)).join(', ')}`,
            );
          }
          if (context.json) return;
          if (answer.agents.length === 0) terminal.line('No agent is present.');
          for (const [capability, waiting] of Object.entries(answer.queued))
            if (waiting > 0)
              terminal.line(`  ${terminal.paint('yellow', '◆')} ${waiting} tasks wait for “${safe(capability)}”`);
        }),
      ),
    );
  agent
    .command('drain <agent-id>')
    .description('it takes nothing new and ends what it runs')
    .action((agentId: string, _options: object, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ agents }) => {
          const answer = await agents('POST', `/v1/agents/${encodeURIComponent(agentId)}/drain`);
          if (context.json) context.print(answer);
          else context.terminal.line(`${context.terminal.paint('green', '✓')} ${agentId} takes nothing new`);
        }),
      ),
    );
}
