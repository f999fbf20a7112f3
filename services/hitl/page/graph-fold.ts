import type { Shape } from './marks';
import { median, plural, shortDuration } from './words';

/** A step of the plan as the drawing sees it. */
export interface GraphTask {
  readonly id: string;
  /** A request to people, or a way back; neither counts as a task. */
  readonly kind?: 'gate' | 'undo';
  readonly label: string;
  readonly sub: string;
  readonly state: Shape;
  readonly needs: readonly string[];
  /** On the longest chain by time. */
  readonly critical: boolean;
  /** Milliseconds, once it has ended. */
  readonly took?: number | undefined;
  /** Where it leads when that is not the task. */
  readonly address?: string;
  /** Items of one forEach share this. */
  readonly group?: { readonly id: string; readonly label: string };
}
export interface GraphNode extends Omit<GraphTask, 'group'> {
  /** Stands for its members. */
  readonly folded: boolean;
  readonly members: readonly GraphTask[];
  /** What opens it: a group, or the next window of one that is open. */
  readonly opens?: string;
}

/** Groups that are shown unfolded, each from its n-th item on. */
export type OpenGroups = ReadonlyMap<string, number>;
/** The word for every group, and for both ends of the plan. */
export const everything = 'all';

// What must stay visible when a group is folded, most urgent first; then what the plan waited for longest.
const keptStates: readonly Shape[] = ['you', 'waiting', 'failed', 'retrying'];
const urgency: readonly Shape[] = [...keptStates, 'running', 'paused'];
const ended: readonly Shape[] = ['done', 'skipped', 'failed', 'cancelled'];
/** Beyond this even a folded plan is no picture any more. */
const boxesAtMost = 150;
/** Plans with more steps than this are folded also where they have no forEach. */
const stepsUnfolded = 60;
const toCome: readonly Shape[] = ['idle', 'ifneeded'];
const keptOut = 4;
const smallestFold = 4;
/** So many boxes of opened groups at a time, all groups together. */
const windowSize = 40;

const mostUrgent = (members: readonly GraphTask[]): Shape => {
  const has = (state: Shape): boolean => members.some((member) => member.state === state);
  const [first] = members;
  return (
    urgency.find(has) ??
    (first && members.every(({ state }) => state === first.state) ? first.state : has('done') ? 'running' : 'idle')
  );
};

/** `15 done, 2 s each`, `194 done, 12 now`, `11 done, 3 failed`, `3 of 15 done`. */
const counted = (members: readonly GraphTask[]): string => {
  const tasks = members.filter(({ kind }) => kind === undefined);
  const of = (...states: readonly Shape[]): number => tasks.filter(({ state }) => states.includes(state)).length;
  const [done, failed, now] = [of('done', 'skipped'), of('failed'), of('running', 'retrying')];
  if (failed > 0) return `${done} done, ${failed} failed`;
  if (now > 0) return `${done} done, ${now} now`;
  if (done < tasks.length) return done === 0 ? plural(tasks.length, 'task') : `${done} of ${tasks.length} done`;
  return `${done} done`;
};
const countedGroup = (members: readonly GraphTask[]): string => {
  const took = members.flatMap((member) => member.took ?? []);
  const words = counted(members);
  return took.length === members.length && words.endsWith(' done')
    ? `${words}, ${shortDuration(median(took))} each`
    : words;
};

/** What is drawn of a plan, or undefined when that would be more than anybody can look at. */
export function boxesOf(
  tasks: readonly GraphTask[],
  open: OpenGroups,
  { layers, keep = keptOut }: { readonly layers: number; readonly keep?: number },
): readonly GraphNode[] | undefined {
  const steps = fold(tasks.length > stepsUnfolded ? groupTwins(tasks) : tasks, open, keep);
  const endsOpen = ['so-far', 'to-come', everything].some((end) => open.has(end));
  const boxes = foldEnds(steps, endsOpen && steps.length <= boxesAtMost ? Infinity : layers);
  return boxes.length > boxesAtMost ? undefined : withoutShortcuts(boxes);
}

/** Tasks of one forEach become one node; up to four of them that need a look stay out. An opened one shows a window of its items. */
export function fold(tasks: readonly GraphTask[], open: OpenGroups, keep = keptOut): readonly GraphNode[] {
  const groups = new Map<string, GraphTask[]>();
  for (const task of tasks) {
    const key = task.group ? `group:${task.group.id}` : `task:${task.id}`;
    const known = groups.get(key);
    if (known) known.push(task);
    else groups.set(key, [task]);
  }
  const opened = [...groups.values()].filter(([first]) => first?.group && isOpen(open, first.group.id)).length;
  const size = Math.max(smallestFold, Math.floor(windowSize / Math.max(1, opened)));
  const standsFor = new Map<string, string>();
  const made = new Map<string, GraphNode>();
  for (const members of groups.values()) {
    const group = members[0]?.group;
    const out =
      !group || members.length < smallestFold
        ? members
        : isOpen(open, group.id)
          ? windowOf(members, open.get(group.id) ?? 0, size)
          : needingALook(members, keep);
    const outside = new Set(out);
    const folded = members.filter((task) => !outside.has(task));
    for (const task of out) {
      standsFor.set(task.id, task.id);
      made.set(task.id, { ...task, folded: false, members: [task] });
    }
    if (!group || folded.length === 0) continue;
    const id = `fold:${group.id}`;
    for (const task of folded) standsFor.set(task.id, id);
    const from = open.get(group.id) ?? 0;
    made.set(id, {
      id,
      label: isOpen(open, group.id) ? `${folded.length} more` : group.label,
      sub: countedGroup(folded),
      state: mostUrgent(folded),
      needs: [],
      critical: folded.some(({ critical }) => critical),
      folded: true,
      members: folded,
      opens: isOpen(open, group.id) ? `${group.id}~${from + size < members.length ? from + size : 0}` : group.id,
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

const isOpen = (open: OpenGroups, group: string): boolean => open.has(group) || open.has(everything);
const windowOf = (members: readonly GraphTask[], from: number, size: number): readonly GraphTask[] =>
  members.slice(from < members.length ? from : 0).slice(0, size);

function needingALook(members: readonly GraphTask[], keep: number): readonly GraphTask[] {
  const rank = ({ state, critical }: GraphTask): number => {
    const urgent = keptStates.indexOf(state);
    return urgent >= 0 ? urgent : critical ? keptStates.length : Infinity;
  };
  return members
    .filter((task) => rank(task) < Infinity)
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, keep);
}

/** Steps that stand alike in a plan, with the same needs and dependents, as one group: for plans that are long without a forEach. */
export function groupTwins(tasks: readonly GraphTask[]): readonly GraphTask[] {
  const dependents = new Map<string, string[]>();
  for (const task of tasks)
    for (const need of task.needs) {
      const known = dependents.get(need);
      if (known) known.push(task.id);
      else dependents.set(need, [task.id]);
    }
  const twins = new Map<string, GraphTask[]>();
  for (const task of tasks) {
    if (task.group || task.kind !== undefined) continue;
    const key = `${[...task.needs].sort().join()}|${(dependents.get(task.id) ?? []).join()}`;
    const known = twins.get(key);
    if (known) known.push(task);
    else twins.set(key, [task]);
  }
  const groupOf = new Map<string, { readonly id: string; readonly label: string }>();
  for (const [first, ...others] of twins.values())
    if (first && others.length >= smallestFold - 1)
      for (const { id } of [first, ...others]) groupOf.set(id, { id: `like-${first.id}`, label: `${first.label} …` });
  return tasks.map((task) => {
    const group = groupOf.get(task.id);
    return group ? { ...task, group } : task;
  });
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

/** Nodes by the length of the longest way to them. */
export function layersOf(nodes: readonly GraphNode[]): readonly (readonly GraphNode[])[] {
  const dependents = new Map<string, GraphNode[]>();
  const missing = new Map<string, number>();
  for (const node of nodes) {
    missing.set(node.id, node.needs.length);
    for (const need of node.needs) {
      const known = dependents.get(need);
      if (known) known.push(node);
      else dependents.set(need, [node]);
    }
  }
  const layers: GraphNode[][] = [];
  for (let layer = nodes.filter(({ needs }) => needs.length === 0); layer.length > 0;) {
    layers.push(layer);
    const next: GraphNode[] = [];
    for (const { id } of layer)
      for (const node of dependents.get(id) ?? []) {
        const left = (missing.get(node.id) ?? 0) - 1;
        missing.set(node.id, left);
        if (left === 0) next.push(node);
      }
    layer = next;
  }
  return layers;
}

/** More layers than fit: what has ended at the start, and what has not begun at the end, becomes one node each. */
export function foldEnds(nodes: readonly GraphNode[], most: number): readonly GraphNode[] {
  const layers = layersOf(nodes);
  const last = layers.length - 1;
  const layerIs = (layer: number, states: readonly Shape[]): boolean =>
    layers[layer]?.every(({ state }) => states.includes(state)) === true;
  let from = 0;
  let to = last;
  while (last + 1 - from > most && layerIs(from, ended) && layerIs(from + 1, ended)) from++;
  while (to - from + 1 > most && layerIs(to, toCome) && layerIs(to - 1, toCome)) to--;
  const idsOf = (some: readonly (readonly GraphNode[])[]): ReadonlySet<string> =>
    new Set(some.flat().map(({ id }) => id));
  const soFar = idsOf(from > 0 ? layers.slice(0, from + 1) : []);
  const later = idsOf(to < last ? layers.slice(to) : []);
  return merge(merge(nodes, soFar, 'so-far', 'So far', 'done'), later, 'to-come', 'To come', 'idle');
}

function merge(
  nodes: readonly GraphNode[],
  ids: ReadonlySet<string>,
  name: string,
  label: string,
  state: Shape,
): readonly GraphNode[] {
  const set = nodes.filter((node) => ids.has(node.id));
  if (set.length < 2) return nodes;
  const id = `fold:${name}`;
  const members = set.flatMap((node) => node.members);
  const outside = (needs: readonly string[]): string[] => needs.filter((need) => !ids.has(need));
  return [
    ...nodes
      .filter((node) => !ids.has(node.id))
      .map((node) => ({ ...node, needs: [...new Set(node.needs.map((need) => (ids.has(need) ? id : need)))] })),
    {
      id,
      label,
      sub: counted(members),
      state,
      needs: [...new Set(outside(set.flatMap((node) => node.needs)))],
      critical: set.some(({ critical }) => critical),
      folded: true,
      members,
      opens: name,
    },
  ];
}
