import { randomUUID } from 'node:crypto';
import { createLineage, type Lineage } from '../../activities/stores/lineage';
import { neo4jConfig, openNeo4j, type Neo4j } from '../../activities/stores/neo4j';
import type { AttemptChange, ChangeSet, PlanHeader, TaskView } from '../../workflows/contracts/plan';
import { identityEnvironment } from '../support/stack';

const run = randomUUID().slice(0, 8);
const planId = `lineage-${run}`;
const artifact = (name: string): string => `sha256:${run}${name}`;
const task = (id: string, more: Partial<TaskView> = {}): TaskView => ({
  id,
  title: id,
  capability: 'command',
  state: 'succeeded',
  attempt: 1,
  needs: [],
  after: [],
  ...more,
});
const attempt = (taskId: string, more: Partial<AttemptChange> = {}): AttemptChange => ({
  taskId,
  attempt: 1,
  state: 'succeeded',
  agent: `agent-${run}`,
  ...more,
});
const header: PlanHeader = {
  planId,
  name: 'review',
  title: 'Review',
  owner: 'ada',
  state: 'running',
  compensation: 'none',
  startedAt: '2026-01-01T00:00:00Z',
  cursor: 1,
  counts: {},
  taskCount: 4,
  waitingFor: [],
};
const change = (
  cursor: number,
  tasks: readonly TaskView[],
  attempts: readonly AttemptChange[],
  plan?: PlanHeader,
): ChangeSet => ({
  planId,
  cursor,
  at: '2026-01-01T00:00:00Z',
  tasks,
  attempts,
  ...(plan && { plan }),
});

/** a -> fan.0, fan.1 -> c, each producing an artifact from those before. */
const changes: readonly ChangeSet[] = [
  change(1, [task('a', { state: 'pending', attempt: 0 }), task('fan', { needs: ['a'], attempt: 0 })], [], header),
  change(2, [task('a')], [attempt('a', { used: [artifact('in')], produced: [artifact('a')] })]),
  // The first attempt failed and the second was sent within one change.
  change(
    3,
    [task('fan.0', { parent: 'fan', state: 'dispatched', attempt: 2 })],
    [
      attempt('fan.0', { state: 'failed', used: [artifact('a')] }),
      attempt('fan.0', { state: 'dispatched', attempt: 2, used: [artifact('a')] }),
    ],
  ),
  change(
    4,
    [task('fan.0', { parent: 'fan', attempt: 2 }), task('fan.1', { parent: 'fan' })],
    [
      attempt('fan.0', { attempt: 2, used: [artifact('a')], produced: [artifact('0')] }),
      attempt('fan.1', { used: [artifact('a')], produced: [artifact('1')] }),
    ],
  ),
  change(
    5,
    [task('c', { needs: ['fan'] })],
    [attempt('c', { used: [artifact('0'), artifact('1')], produced: [artifact('c')] })],
    { ...header, state: 'succeeded' },
  ),
];

// A store's first answers may take long on a busy machine.
jest.setTimeout(90_000);

describe('lineage', () => {
  let neo4j: Neo4j;
  let lineage: Lineage;
  beforeAll(async () => {
    neo4j = await openNeo4j(neo4jConfig.parse(identityEnvironment('database-controller')));
    lineage = createLineage(neo4j.driver);
    await lineage.prepare();
    await lineage.record(changes);
  });
  afterAll(async () => {
    await neo4j.driver.executeQuery(
      `MATCH (n) WHERE n.planId = $planId OR n.id IN $ids OR (n:Artifact AND n.id STARTS WITH $prefix) DETACH DELETE n`,
      { planId, ids: [planId, `agent-${run}`], prefix: artifact('') },
    );
    await neo4j.close();
  });

  const sorted = async (): Promise<unknown> => {
    const { nodes, edges } = await lineage.ofPlan(planId);
    const byText = (a: unknown, b: unknown): number => JSON.stringify(a).localeCompare(JSON.stringify(b));
    return { nodes: [...nodes].sort(byText), edges: [...edges].sort(byText) };
  };

  it('knows the tasks, attempts, agents and artifacts of a plan', async () => {
    const { nodes, edges } = await lineage.ofPlan(planId);
    const count = (kind: string): number => nodes.filter((node) => node.kind === kind).length;
    expect(['plan', 'task', 'attempt', 'agent', 'artifact'].map(count)).toEqual([1, 5, 5, 1, 5]);
    expect(nodes.find((node) => node.kind === 'plan')?.properties).toMatchObject({
      name: 'review',
      state: 'succeeded',
    });
    expect(nodes.find((node) => node.id === `${planId}/fan.0/1`)?.properties['state']).toBe('failed');
    for (const [from, kind, to] of [
      [`${planId}/fan`, 'needs', `${planId}/a`],
      [`${planId}/fan`, 'part-of', planId],
      [`${planId}/fan.0`, 'part-of', `${planId}/fan`],
      [`${planId}/fan.0`, 'attempted', `${planId}/fan.0/2`],
      [`${planId}/fan.0/2`, 'by', `agent-${run}`],
      [`${planId}/fan.0/2`, 'used', artifact('a')],
      [`${planId}/fan.0/2`, 'produced', artifact('0')],
    ]) {
      expect(edges).toContainEqual({ from, kind, to });
    }
  });

  it('is the same graph when changes come again and out of order', async () => {
    const before = await sorted();
    await lineage.record([...changes].reverse());
    for (const one of changes) await lineage.record([one, one]);
    expect(await sorted()).toEqual(before);
  });

  it('follows what an artifact came from and what came from it, as far as asked', async () => {
    const derived = async (name: string, depth: number): Promise<string[]> => {
      const { nodes } = await lineage.ofArtifact(artifact(name), depth);
      return nodes.flatMap(({ kind, id }) => (kind === 'artifact' ? [id.slice(artifact('').length)] : [])).sort();
    };
    expect(await derived('c', 1)).toEqual(['0', '1', 'c']);
    expect(await derived('c', 2)).toEqual(['0', '1', 'a', 'c']);
    expect(await derived('c', 20)).toEqual(['0', '1', 'a', 'c', 'in']);
    expect(await derived('a', 20)).toEqual(['0', '1', 'a', 'c', 'in']);
    const { edges } = await lineage.ofArtifact(artifact('c'), 1);
    expect(edges).toContainEqual({ from: artifact('c'), kind: 'derived-from', to: artifact('0') });
    expect(edges).toContainEqual({ from: `${planId}/c/1`, kind: 'by', to: `agent-${run}` });
  });

  it('says so when it does not know a plan or an artifact', async () => {
    await expect(lineage.ofPlan('unknown')).rejects.toMatchObject({ type: 'PlanNotFound' });
    await expect(lineage.ofArtifact('sha256:unknown', 5)).rejects.toMatchObject({ type: 'ArtifactNotFound' });
  });

  it('records a plan of 2,000 tasks in batches of 500', async () => {
    const big = `${planId}-big`;
    try {
      for (let from = 0; from < 2000; from += 500) {
        const tasks = Array.from({ length: 500 }, (_, n) => task(`t${from + n}`, { needs: ['t0'] }));
        const attempts = tasks.map(({ id }) => attempt(id));
        await lineage.record([{ planId: big, cursor: from, at: '2026-01-01T00:00:00Z', tasks, attempts }]);
      }
      expect((await lineage.ofPlan(big)).edges.length).toBe(2000 * 4);
    } finally {
      await neo4j.driver.executeQuery('MATCH (n) WHERE n.planId = $big OR n.id = $big DETACH DELETE n', { big });
    }
  });
});
