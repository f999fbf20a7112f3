import { readFileSync } from 'node:fs';
import { allowedPrograms } from '../../agents/command/capability';
import { allowedHosts } from '../../agents/http/capability';
import { packageRoot } from '../../stack/package-root';

describe('docs/agents.md', () => {
  const text = readFileSync(`${packageRoot}/docs/agents.md`, 'utf8');
  const blocks = (language: string): string[] =>
    [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block);

  it('shows the example agent as it is', () => {
    expect(blocks('ts')).toEqual([readFileSync(`${packageRoot}/examples/own-agent/agent.ts`, 'utf8')]);
  });

  it('shows lists of programs and hosts that agents take', () => {
    const [programs, hosts] = blocks('json').map((block): unknown => JSON.parse(block));
    expect(allowedPrograms.parse(programs)['count']?.argument?.test('text.txt')).toBe(true);
    expect(allowedHosts.parse(hosts)).toHaveLength(2);
  });
});
