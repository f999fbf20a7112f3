import { coordGreedy, coordSimplex, decrossTwoLayer, graphConnect, layeringSimplex, sugiyama } from 'd3-dag';
import { type GraphNode, layersOf } from './graph-fold';

/** Pixels: a box, and one that stands for several tasks. */
const boxHeight = 52;
const foldHeight = 70;
/** What a second line of the title adds. */
export const lineHeight = 15;
const simplexUpTo = 120;
const layerGap = 22;
const besideGap = 10;
const narrowest = 148;
const widest = 220;

export type Direction = 'across' | 'down';
type Point = readonly [x: number, y: number];

export interface PlacedEdge {
  readonly from: GraphNode;
  readonly to: GraphNode;
  readonly points: readonly Point[];
}
export interface Placed {
  readonly at: ReadonlyMap<string, Point>;
  readonly edges: readonly PlacedEdge[];
  readonly width: number;
  readonly height: number;
  readonly direction: Direction;
  readonly boxWidth: number;
  /** Lines that titles may have, 1 or 2: as high as the highest are all boxes of a drawing. */
  readonly titleLines: number;
}

/** Boxes take what room there is, so that long titles can be read: across beside each other, down in a layer. */
export function boxWidthOf(nodes: readonly GraphNode[], direction: Direction, room: number): number {
  const layers = layersOf(nodes);
  const [beside, gap] =
    direction === 'across'
      ? [layers.length, layerGap]
      : [Math.max(1, ...layers.map((layer) => layer.length)), besideGap];
  const fits = Math.floor((room - (beside - 1) * gap) / Math.max(1, beside));
  return Math.min(widest, Math.max(narrowest, fits - (fits % 2)));
}
export const heightOf = (node: GraphNode, titleLines: number): number =>
  (node.folded ? foldHeight : boxHeight) + (titleLines - 1) * lineHeight;

/** Positions: `across` puts the layers from left to right, `down` from top to bottom. The same input gives the same picture. */
export function place(
  nodes: readonly GraphNode[],
  {
    direction,
    room,
    titleLines,
  }: { readonly direction: Direction; readonly room: number; readonly titleLines: number },
): Placed {
  const across = direction === 'across';
  const boxWidth = boxWidthOf(nodes, direction, room);
  if (nodes.length === 0) return { at: new Map(), edges: [], width: 0, height: 0, direction, boxWidth, titleLines };
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const nodeOf = (id: string): GraphNode => {
    const node = byId.get(id);
    if (!node) throw new Error(`no node ${id}`);
    return node;
  };
  const links = nodes.flatMap((node) => node.needs.map((need): [string, string] => [need, node.id]));
  const linked = new Set(links.flat());
  // A link to itself stands for a node without any.
  for (const { id } of nodes) if (!linked.has(id)) links.push([id, id]);
  const dag = graphConnect().single(true)(links);
  const layout = sugiyama()
    .layering(layeringSimplex())
    .decross(decrossTwoLayer())
    .coord(nodes.length > simplexUpTo ? coordGreedy() : coordSimplex())
    .nodeSize(({ data }: { readonly data: string }): [number, number] =>
      across ? [heightOf(nodeOf(data), titleLines), boxWidth] : [boxWidth, heightOf(nodeOf(data), titleLines)],
    )
    .gap(across ? [14, layerGap] : [besideGap, 28]);
  const size = layout(dag);
  const turned = (x: number, y: number): Point => (across ? [y, x] : [x, y]);
  const at = new Map<string, Point>();
  for (const node of dag.nodes()) at.set(node.data, turned(node.x, node.y));
  keepOrderOfTwins(nodes, at, across ? 1 : 0);
  const edges: PlacedEdge[] = [];
  for (const { source, target, points } of dag.links()) {
    const [from, to] = [at.get(source.data), at.get(target.data)];
    if (source.data === target.data || !from || !to) continue;
    const middle = points.slice(1, -1).map(([x, y]) => turned(x, y));
    edges.push({ from: nodeOf(source.data), to: nodeOf(target.data), points: [from, ...middle, to] });
  }
  return {
    at,
    edges,
    width: across ? size.height : size.width,
    height: across ? size.width : size.height,
    direction,
    boxWidth,
    titleLines,
  };
}

/** Nodes that may trade places without a new crossing (same needs, dependents and size) take the plan's order. */
function keepOrderOfTwins(nodes: readonly GraphNode[], at: Map<string, Point>, axis: 0 | 1): void {
  const dependents = new Map<string, string[]>();
  for (const node of nodes)
    for (const need of node.needs) dependents.set(need, [...(dependents.get(need) ?? []), node.id]);
  const twins = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    const key = `${[...node.needs].sort().join()}|${(dependents.get(node.id) ?? []).sort().join()}|${node.folded}`;
    twins.set(key, [...(twins.get(key) ?? []), node]);
  }
  for (const group of twins.values()) {
    const slots = group
      .map(({ id }) => at.get(id))
      .filter((slot) => slot !== undefined)
      .sort((a, b) => a[axis] - b[axis]);
    group.forEach(({ id }, index) => {
      const slot = slots[index];
      if (slot) at.set(id, slot);
    });
  }
}
