import type { Command } from 'commander';
import { z } from 'zod';
import { connected, examples, type CommandContext, type Runner } from './command';
import { cut, duration, pad, plural, safe, wrap } from './terminal';

const agent = z.looseObject({
  agentId: z.string(),
  transport: z.string(),
  capacity: z.number(),
  capabilities: z.array(z.looseObject({ name: z.string() })),
  state: z.string(),
  running: z.number().default(0),
  lastHeardAt: z.string(),
});
const agentList = z.object({
  agents: z.array(agent),
  queued: z.record(z.string(), z.coerce.number()).default({}),
});

export function addAgentCommands(program: Command, run: Runner): void {
  const group = program.command('agent').description('agents that are present');
  group
    .command('list')
    .description('agents, what they can do and how busy they are')
    .option('--capability <name>', 'only those that offer it')
    .addHelpText('after', examples('aats agent list', 'aats agent list --capability npm-test --json'))
    .action((options: { readonly capability?: string }, command: Command) =>
      run(command)((context) =>
        connected(context, async ({ agents }) => {
          const query = options.capability === undefined ? '' : `?capability=${encodeURIComponent(options.capability)}`;
          const answer = agentList.parse(await agents('GET', `/v1/agents${query}`));
          if (context.json) for (const one of answer.agents) context.print(one);
          else printAgents(context, answer);
        }),
      ),
    );
  group
    .command('drain <agent-id>')
    .description('it takes nothing new and ends what it runs')
    .addHelpText('after', examples('aats agent drain tester-1'))
    .action((agentId: string, _options: object, command: Command) =>
      run(command, { notDone: 'Not drained' })((context) =>
        connected(context, async ({ agents }) => {
          const answer = await agents('POST', `/v1/agents/${encodeURIComponent(agentId)}/drain`);
          if (context.json) context.print(answer);
          else context.terminal.line(`${context.terminal.paint('green', '✓')} ${safe(agentId)} takes nothing new`);
        }),
      ),
    );
}

function printAgents({ terminal }: CommandContext, { agents, queued }: z.infer<typeof agentList>): void {
  const { columns, paint } = terminal;
  if (agents.length === 0) terminal.line('No agent is present.');
  else
    terminal.line(
      paint('dim', `${pad('AGENT', 20)}${pad('STATE', 12)}${pad('RUNS', 10)}${pad('HEARD', 12)}CAPABILITIES`),
    );
  for (const one of agents) {
    const isReady = one.state === 'ready';
    const can = wrap(
      `${one.capabilities.map(({ name }) => safe(name)).join(', ')} (${safe(one.transport)})`,
      columns - 54,
    );
    terminal.line(
      pad(cut(safe(one.agentId), 19), 20) +
        pad(`${paint(isReady ? 'green' : 'yellow', isReady ? '✓' : '‖')} ${cut(safe(one.state), 10)}`, 12) +
        pad(`${one.running} of ${one.capacity}`, 10) +
        pad(`${duration(Date.now() - Date.parse(one.lastHeardAt))} ago`, 12) +
        (can[0] ?? ''),
    );
    for (const more of can.slice(1)) terminal.line(' '.repeat(54) + more);
  }
  for (const [capability, waiting] of Object.entries(queued))
    if (waiting > 0)
      terminal.line(
        `  ${paint('yellow', '◆')} ${plural(waiting, 'task')} ${waiting === 1 ? 'waits' : 'wait'} for “${safe(capability)}”`,
      );
}
