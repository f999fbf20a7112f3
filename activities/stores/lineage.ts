import type { Driver, ManagedTransaction } from 'neo4j-driver';
import { failure } from '../../workflows/contracts/failures';
import type { AttemptChange, ChangeSet, TaskView } from '../../workflows/contracts/plan';

export type LineageNodeKind = 'plan' | 'task' | 'attempt' | 'agent' | 'artifact';
export type LineageEdgeKind = 'part-of' | 'needs' | 'attempted' | 'by' | 'produced' | 'used' | 'derived-from';
export interface LineageNode {
  readonly kind: LineageNodeKind;
  /** Plan id, `<plan>/<task>`, `<plan>/<task>/<attempt>`, agent id, or `sha256:<hex>`. */
  readonly id: string;
  readonly properties: Readonly<Record<string, string>>;
}
export interface LineageEdge {
  readonly from: string;
  readonly kind: LineageEdgeKind;
  readonly to: string;
}
export interface LineageGraph {
  readonly nodes: readonly LineageNode[];
  readonly edges: readonly LineageEdge[];
}

/** Who did what and what came from what: a projection of plan changes that can be made anew from the topic. */
export interface Lineage {
  /** Makes the uniqueness constraints; may be repeated. */
  prepare(): Promise<void>;
  /** One transaction for the batch. Change sets may come again and in any order: nothing doubles, nothing goes back. */
  record(changes: readonly ChangeSet[]): Promise<void>;
  /** An artifact with its ancestors and descendants up to `depth` derivations away, and the attempts that tie them. */
  ofArtifact(artifact: string, depth: number): Promise<LineageGraph>;
  /** Everything of one plan. Fails with PlanNotFound. */
  ofPlan(planId: string): Promise<LineageGraph>;
}

/** An answer beyond this would be of no use to a person and too large for one message. */
const maxArtifacts = 2000;

export function createLineage(driver: Driver): Lineage {
  const read = async <T>(work: (tx: ManagedTransaction) => Promise<T>): Promise<T> => {
    const session = driver.session();
    try {
      return await session.executeRead(work, { timeout: 20_000 });
    } finally {
      await session.close();
    }
  };
  return {
    async prepare() {
      for (const label of ['Plan', 'Task', 'Attempt', 'Agent', 'Artifact']) {
        await driver.executeQuery(
          `CREATE CONSTRAINT aats_${label.toLowerCase()} IF NOT EXISTS FOR (n:${label}) REQUIRE n.id IS UNIQUE`,
        );
      }
      await driver.executeQuery('CREATE INDEX aats_task_plan IF NOT EXISTS FOR (n:Task) ON (n.planId)');
      await driver.executeQuery('CREATE INDEX aats_attempt_plan IF NOT EXISTS FOR (n:Attempt) ON (n.planId)');
    },

    async record(changes) {
      const rows = rowsOf(changes);
      const session = driver.session();
      try {
        await session.executeWrite(async (tx) => {
          for (const statement of writes) await tx.run(statement.text, { rows: rows[statement.rows] });
        });
      } finally {
        await session.close();
      }
    },

    ofArtifact: (artifact, depth) =>
      read(async (tx) => {
        const known = await tx.run('MATCH (a:Artifact {id: $artifact}) RETURN a.id AS id', { artifact });
        if (known.records.length === 0) throw failure('ArtifactNotFound', `No plan used or produced ${artifact}`);
        const ids = new Set([artifact]);
        for (const step of ['(a)-[:DERIVED_FROM]->(b)', '(a)<-[:DERIVED_FROM]-(b)']) {
          let frontier = [artifact];
          // Level by level, so that a dense graph costs its nodes and not its paths.
          for (let level = 0; level < depth && frontier.length > 0 && ids.size < maxArtifacts; level++) {
            const found = await tx.run(
              `UNWIND $frontier AS id MATCH (a:Artifact {id: id}) MATCH ${step} RETURN DISTINCT b.id AS id LIMIT ${maxArtifacts}`,
              { frontier },
            );
            frontier = found.records.map((record) => record.get('id') as string).filter((id) => !ids.has(id));
            for (const id of frontier) ids.add(id);
          }
        }
        const artifacts = [...ids];
        return graphOf([
          await tx.run(
            `UNWIND $artifacts AS id MATCH (a:Artifact {id: id})
             OPTIONAL MATCH (a)-[r:DERIVED_FROM]->(b:Artifact) WHERE b.id IN $artifacts RETURN a AS f, r, b AS t`,
            { artifacts },
          ),
          await tx.run(
            `UNWIND $artifacts AS id MATCH (n:Attempt)-[r:PRODUCED|USED]->(a:Artifact {id: id})
             RETURN n AS f, r, a AS t LIMIT ${maxArtifacts * 2}`,
            { artifacts },
          ),
          await tx.run(
            `UNWIND $artifacts AS id MATCH (n:Attempt)-[:PRODUCED|USED]->(:Artifact {id: id})
             WITH DISTINCT n LIMIT ${maxArtifacts * 2} MATCH (f)-[r:ATTEMPTED|BY]-(n)
             RETURN startNode(r) AS f, r, endNode(r) AS t`,
            { artifacts },
          ),
        ]);
      }),

    ofPlan: (planId) =>
      read(async (tx) => {
        const plan = await tx.run('MATCH (p:Plan {id: $planId}) RETURN p AS f, null AS r, null AS t', { planId });
        if (plan.records.length === 0) throw failure('PlanNotFound', `Lineage knows no plan ${planId}`);
        return graphOf([
          plan,
          await tx.run(
            'MATCH (f:Task {planId: $planId})-[r:PART_OF|NEEDS|ATTEMPTED]->(t) RETURN f, r, t ORDER BY f.id, t.id',
            { planId },
          ),
          await tx.run(
            'MATCH (f:Attempt {planId: $planId})-[r:BY|PRODUCED|USED]->(t) RETURN f, r, t ORDER BY f.id, t.id',
            { planId },
          ),
        ]);
      }),
  };
}

/** Each MERGE is by the id of the thing itself, so the same change set again finds everything there. */
const writes = [
  {
    rows: 'plans',
    text: `UNWIND $rows AS row MERGE (p:Plan {id: row.id})
           WITH p, row WHERE row.cursor >= coalesce(p.cursor, -1)
           SET p.cursor = row.cursor, p += row.properties`,
  },
  {
    rows: 'tasks',
    text: `UNWIND $rows AS row MERGE (t:Task {id: row.id}) ON CREATE SET t.planId = row.planId
           WITH t, row WHERE row.cursor >= coalesce(t.cursor, -1)
           SET t.cursor = row.cursor, t += row.properties`,
  },
  {
    rows: 'partOfPlan',
    text: `UNWIND $rows AS row MATCH (t:Task {id: row.from}) MERGE (p:Plan {id: row.to}) MERGE (t)-[:PART_OF]->(p)`,
  },
  {
    rows: 'partOfTask',
    text: `UNWIND $rows AS row MATCH (t:Task {id: row.from}) MERGE (p:Task {id: row.to})
           ON CREATE SET p.planId = row.planId MERGE (t)-[:PART_OF]->(p)`,
  },
  {
    rows: 'needs',
    text: `UNWIND $rows AS row MATCH (t:Task {id: row.from}) MERGE (n:Task {id: row.to})
           ON CREATE SET n.planId = row.planId MERGE (t)-[:NEEDS]->(n)`,
  },
  {
    rows: 'attempts',
    text: `UNWIND $rows AS row MERGE (t:Task {id: row.task}) ON CREATE SET t.planId = row.planId
           MERGE (a:Attempt {id: row.id}) ON CREATE SET a.planId = row.planId MERGE (t)-[:ATTEMPTED]->(a)
           WITH a, row WHERE row.cursor >= coalesce(a.cursor, -1)
           SET a.cursor = row.cursor, a += row.properties`,
  },
  {
    rows: 'by',
    text: `UNWIND $rows AS row MATCH (a:Attempt {id: row.from}) MERGE (g:Agent {id: row.to}) MERGE (a)-[:BY]->(g)`,
  },
  {
    rows: 'produced',
    text: `UNWIND $rows AS row MATCH (a:Attempt {id: row.from}) MERGE (d:Artifact {id: row.to}) MERGE (a)-[:PRODUCED]->(d)`,
  },
  {
    rows: 'used',
    text: `UNWIND $rows AS row MATCH (a:Attempt {id: row.from}) MERGE (d:Artifact {id: row.to}) MERGE (a)-[:USED]->(d)`,
  },
  {
    rows: 'tied',
    text: `UNWIND $rows AS row MATCH (x:Artifact)<-[:PRODUCED]-(:Attempt {id: row.id})-[:USED]->(y:Artifact)
           WHERE x <> y MERGE (x)-[:DERIVED_FROM]->(y)`,
  },
] as const;

interface Row {
  readonly [key: string]: string | number | Readonly<Record<string, string | number>>;
}
type Rows = Record<(typeof writes)[number]['rows'], Row[]>;

function rowsOf(changes: readonly ChangeSet[]): Rows {
  const rows: Rows = {
    plans: [],
    tasks: [],
    partOfPlan: [],
    partOfTask: [],
    needs: [],
    attempts: [],
    by: [],
    produced: [],
    used: [],
    tied: [],
  };
  for (const { planId, cursor, plan, tasks, attempts } of changes) {
    const { name, title, owner, state } = plan ?? {};
    rows.plans.push({ id: planId, cursor: plan ? cursor : -1, properties: present({ name, title, owner, state }) });
    for (const task of tasks) addTask(rows, planId, cursor, task);
    for (const attempt of attempts) addAttempt(rows, planId, cursor, attempt);
  }
  return rows;
}

function addTask(rows: Rows, planId: string, cursor: number, task: TaskView): void {
  const { title, capability, state } = task;
  const id = `${planId}/${task.id}`;
  rows.tasks.push({ id, planId, cursor, properties: present({ title, capability, state }) });
  if (task.parent === undefined) rows.partOfPlan.push({ from: id, to: planId });
  else rows.partOfTask.push({ from: id, to: `${planId}/${task.parent}`, planId });
  for (const need of task.needs) rows.needs.push({ from: id, to: `${planId}/${need}`, planId });
}

function addAttempt(rows: Rows, planId: string, cursor: number, change: AttemptChange): void {
  const { taskId, attempt, state, agent, dispatchedAt, startedAt, endedAt, used = [], produced = [] } = change;
  const task = `${planId}/${taskId}`;
  const id = `${task}/${attempt}`;
  const properties = { ...present({ state, dispatchedAt, startedAt, endedAt }), attempt };
  rows.attempts.push({ id, task, planId, cursor, properties });
  if (agent !== undefined) rows.by.push({ from: id, to: agent });
  for (const artifact of produced) rows.produced.push({ from: id, to: artifact });
  for (const artifact of used) rows.used.push({ from: id, to: artifact });
  if (produced.length > 0 || used.length > 0) rows.tied.push({ id });
}

function present(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

interface GraphNode {
  readonly labels: readonly string[];
  readonly properties: Readonly<Record<string, unknown>>;
}
interface Answer {
  readonly records: readonly { get(key: string): unknown }[];
}

function graphOf(answers: readonly Answer[]): LineageGraph {
  const nodes = new Map<string, LineageNode>();
  const edges = new Map<string, LineageEdge>();
  const add = (node: GraphNode): string => {
    const id = String(node.properties['id']);
    const kind = String(node.labels[0]).toLowerCase() as LineageNodeKind;
    const shown = Object.entries(node.properties).filter(([key]) => key !== 'id' && key !== 'cursor');
    const properties = Object.fromEntries(shown.map(([key, value]) => [key, String(value)]));
    nodes.set(`${kind} ${id}`, { kind, id, properties });
    return id;
  };
  for (const record of answers.flatMap((answer) => answer.records)) {
    const from = add(record.get('f') as GraphNode);
    const relation = record.get('r') as { readonly type: string } | null;
    if (!relation) continue;
    const to = add(record.get('t') as GraphNode);
    const kind = relation.type.toLowerCase().replace('_', '-') as LineageEdgeKind;
    edges.set(`${from} ${kind} ${to}`, { from, kind, to });
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}
