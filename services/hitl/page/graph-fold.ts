import type { Shape } from './marks';

/** A task as the drawing sees it. */
export interface GraphTask {
  readonly id: string;
  readonly label: string;
  readonly sub: string;
  readonly state: Shape;
  readonly needs: readonly string[];
  /** On the longest chain by time. */
  readonly critical: boolean;
  readonly gate: boolean;
  /** Items of one forEach share this. */
  readonly group?: { readonly id: string; readonly label: string };
}
export interface GraphNode extends Omit<GraphTask, 'group'> {
  /** Stands for its members. */
  readonly folded: boolean;
  readonly members: readonly GraphTask[];
}

// What must stay visible when a group is folded, most urgent first.
const urgency: readonly Shape[] = ['you', 'waiting', 'failed', 'retrying', 'running', 'paused'];
const ended: readonly Shape[] = ['done', 'skipped', 'failed', 'cancelled'];
const toCome: readonly Shape[] = ['idle', 'ifneeded'];
const keptOut = 4;
const smallestFold = 4;

const mostUrgent = (members: readonly GraphTask[]): Shape => {
  const has = (state: Shape): boolean => members.some((member) => member.state === state);
  const [first] = members;
  return (
    urgency.find(has) ??
    (first && members.every(({ state }) => state === first.state) ? first.state : has('done') ? 'running' : 'idle')
  );
};

const counted = (members: readonly GraphTask[]): string => {
  const of = (...states: readonly Shape[]): number => members.filter(({ state }) => states.includes(state)).length;
  const failed = of('failed');
  const done = of('done', 'skipped');
  if (failed > 0) return `${done} done, ${failed} failed`;
  return done === members.length ? `${done} done` : `${done} of ${members.length} done`;
};

/** Tasks of one forEach become one node; up to four of them that need a look stay out. */
export function fold(tasks: readonly GraphTask[], open: ReadonlySet<string>): readonly GraphNode[] {
  const groups = new Map<string, GraphTask[]>();
  for (const task of tasks) {
    const key = task.group ? `group:${task.group.id}` : `task:${task.id}`;
    groups.set(key, [...(groups.get(key) ?? []), task]);
  }
  const standsFor = new Map<string, string>();
  const made = new Map<string, GraphNode>();
  for (const members of groups.values()) {
    const group = members[0]?.group;
    const whole = !group || members.length < smallestFold || open.has(group.id);
    const out = whole
      ? members
      : members
          .filter(({ state }) => urgency.includes(state))
          .sort((a, b) => urgency.indexOf(a.state) - urgency.indexOf(b.state))
          .slice(0, keptOut);
    const folded = members.filter((task) => !out.includes(task));
    for (const task of out) {
      standsFor.set(task.id, task.id);
      made.set(task.id, { ...task, folded: false, members: [task] });
    }
    if (!group || folded.length === 0) continue;
    const id = `fold:${group.id}`;
    for (const task of folded) standsFor.set(task.id, id);
    made.set(id, {
      id,
      label: group.label,
      sub: counted(folded),
      state: mostUrgent(folded),
      needs: [],
      critical: folded.some(({ critical }) => critical),
      gate: false,
      folded: true,
      members: folded,
    });
  }
  const needs = new Map<string, Set<string>>();
  for (const task of tasks)
    for (const need of task.needs) {
      const [from, to] = [standsFor.get(need), standsFor.get(task.id)];
      if (from !== undefined && to !== undefined && from !== to) needs.set(to, (needs.get(to) ?? new Set()).add(from));
    }
  return [...made.values()].map((node) => ({ ...node, needs: [...(needs.get(node.id) ?? [])] }));
}

/** Without edges that say nothing: a need that is also needed on a longer way is drawn by that way alone. */
export function withoutShortcuts(nodes: readonly GraphNode[]): readonly GraphNode[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const ancestors = new Map<string, ReadonlySet<string>>();
  const above = (id: string): ReadonlySet<string> => {
    const known = ancestors.get(id);
    if (known) return known;
    const found = new Set<string>();
    for (const need of byId.get(id)?.needs ?? []) {
      found.add(need);
      for (const one of above(need)) found.add(one);
    }
    ancestors.set(id, found);
    return found;
  };
  return nodes.map((node) => ({
    ...node,
    needs: node.needs.filter((need) => !node.needs.some((other) => other !== need && above(other).has(need))),
  }));
}

/** More layers than fit: what has ended at the start, and what has not begun at the end, becomes one node each. */
export function foldEnds(nodes: readonly GraphNode[], most: number): readonly GraphNode[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const depths = new Map<string, number>();
  const depth = (node: GraphNode): number => {
    const known = depths.get(node.id);
    if (known !== undefined) return known;
    const deepest = Math.max(-1, ...node.needs.flatMap((id) => byId.get(id) ?? []).map(depth)) + 1;
    depths.set(node.id, deepest);
    return deepest;
  };
  const last = Math.max(-1, ...nodes.map(depth));
  const layerIs = (layer: number, states: readonly Shape[]): boolean =>
    nodes.filter((node) => depth(node) === layer).every(({ state }) => states.includes(state));
  let from = 0;
  let to = last;
  while (last + 1 - from > most && layerIs(from, ended) && layerIs(from + 1, ended)) from++;
  while (to - from + 1 > most && layerIs(to, toCome) && layerIs(to - 1, toCome)) to--;
  const soFar = from > 0 ? nodes.filter((node) => depth(node) <= from) : [];
  const later = to < last ? nodes.filter((node) => depth(node) >= to) : [];
  return merge(merge(nodes, soFar, 'so-far', 'So far', 'done'), later, 'to-come', 'To come', 'idle');
}

function merge(
  nodes: readonly GraphNode[],
  set: readonly GraphNode[],
  name: string,
  label: string,
  state: Shape,
): readonly GraphNode[] {
  if (set.length < 2) return nodes;
  const id = `fold:${name}`;
  const ids = new Set(set.map((node) => node.id));
  const members = set.flatMap((node) => node.members);
  const outside = (needs: readonly string[]): string[] => needs.filter((need) => !ids.has(need));
  return [
    ...nodes
      .filter((node) => !ids.has(node.id))
      .map((node) => ({ ...node, needs: [...new Set(node.needs.map((need) => (ids.has(need) ? id : need)))] })),
    {
      id,
      label,
      sub: state === 'done' ? counted(members) : `${members.length} tasks`,
      state,
      needs: [...new Set(outside(set.flatMap((node) => node.needs)))],
      critical: set.some(({ critical }) => critical),
      gate: false,
      folded: true,
      members,
    },
  ];
}
