import { boxWidthOf, heightOf, lineHeight, place, type Direction, type Placed, type PlacedEdge } from './graph';
import type { GraphNode, GraphTask } from './graph-fold';
import { foreignText, markup, type Html } from './html';
import type { Shape } from './marks';

export const shapeWords: Readonly<Record<Shape, string>> = {
  done: 'done',
  running: 'running',
  you: 'waiting for you',
  waiting: 'waiting for others',
  failed: 'failed',
  retrying: 'trying again',
  idle: 'not started',
  skipped: 'skipped',
  paused: 'paused',
  cancelled: 'cancelled',
  ifneeded: 'only if needed',
  unknown: 'in a state that this page does not know',
};

const margin = 2;
// Widths of signs in hundredths of the font's size, in the widest of the usual fonts: bold, plain.
const narrowSigns = /[iljtfrI.,:;'!|()[\] ]/;
const wideSigns = /[mwMW—%@…]/;
const middleSigns = /[A-Z0-9]/;
const widthOfSign = (sign: string, bold: boolean): number => {
  if (narrowSigns.test(sign)) return bold ? 0.4 : 0.34;
  if (wideSigns.test(sign)) return bold ? 1.02 : 0.93;
  return (middleSigns.test(sign) ? 0.08 : 0) + (bold ? 0.68 : 0.6);
};
/** As much of a text as fits into so many pixels. */
function fitted(text: string, room: number, size: number, bold: boolean): string {
  const signs = Array.from(text);
  const width = (sign: string): number => widthOfSign(sign, bold) * size;
  if (signs.reduce((sum, sign) => sum + width(sign), 0) <= room) return text;
  let left = room - width('…');
  const kept = signs.findIndex((sign) => (left -= width(sign)) < 0);
  return `${signs.slice(0, kept).join('').trimEnd()}…`;
}
/** A title in at most so many lines, broken between words where that can be. */
function inLines(text: string, lines: number, room: number): readonly string[] {
  const line = fitted(text, room, 12.5, true);
  if (line === text || lines === 1) return [line];
  const start = line.slice(0, -1);
  const end = text.charAt(start.length) === ' ' ? start.length : start.lastIndexOf(' ');
  const head = end > 0 ? text.slice(0, end) : start;
  return [head, ...inLines(text.slice(head.length).trimStart(), lines - 1, room)];
}
const signLeft = (node: GraphNode): number => (node.kind === 'gate' ? 12 : 9);
const textRoom = (node: GraphNode, width: number): number =>
  width - signLeft(node) - 20 - (node.kind === 'gate' ? 12 : 6);
/** In a large drawing a second line would cost more than it tells. */
const twoLinesUpTo = 60;
function titleLinesOf(nodes: readonly GraphNode[], direction: Direction, room: number): number {
  if (nodes.length > twoLinesUpTo) return 1;
  const width = boxWidthOf(nodes, direction, room);
  return nodes.some((node) => inLines(foreignText(node.label), 2, textRoom(node, width)).length > 1) ? 2 : 1;
}
const cellsUpTo = 24;
const cellOrder: readonly Shape[] = [
  'done',
  'skipped',
  'retrying',
  'running',
  'you',
  'waiting',
  'failed',
  'cancelled',
  'paused',
  'unknown',
  'ifneeded',
  'idle',
];

// A layout depends on what is drawn and how it hangs together, not on states: most changes find theirs here.
const layouts = new Map<string, Placed>();
const layoutsKept = 500;
function placed(nodes: readonly GraphNode[], direction: Direction, room: number): Placed {
  const titleLines = titleLinesOf(nodes, direction, room);
  const key = `${direction} ${room} ${titleLines} ${nodes.map(({ id, needs, folded }) => `${id}${folded ? '*' : ''}<${needs.join()}`).join(' ')}`;
  const known = layouts.get(key) ?? place(nodes, { direction, room, titleLines });
  layouts.delete(key);
  layouts.set(key, known);
  const [oldest] = layouts.keys();
  if (layouts.size > layoutsKept && oldest !== undefined) layouts.delete(oldest);
  return known;
}

function edge({ from, to, points }: PlacedEdge, { direction, boxWidth, titleLines }: Placed): Html {
  const across = direction === 'across';
  const half = boxWidth / 2;
  const [first = [0, 0], ...rest] = points;
  const end = rest.pop() ?? first;
  const start: readonly [number, number] = across
    ? [first[0] + half, first[1]]
    : [first[0], first[1] + heightOf(from, titleLines) / 2];
  const stop: readonly [number, number] = across
    ? [end[0] - half - 5, end[1]]
    : [end[0], end[1] - heightOf(to, titleLines) / 2 - 5];
  const path = [start, ...rest, stop];
  let line = `M${start.map(Math.round).join()}`;
  for (let index = 1; index < path.length; index++) {
    const [[x0, y0], [x1, y1]] = [path[index - 1] ?? start, path[index] ?? stop];
    const curve = across
      ? [(x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1]
      : [x0, (y0 + y1) / 2, x1, (y0 + y1) / 2, x1, y1];
    line += `C${curve.map(Math.round).join()}`;
  }
  const [x, y] = [Math.round(stop[0]), Math.round(stop[1])];
  const tip = across
    ? `M${x - 3},${y - 4}L${x + 4},${y}L${x - 3},${y + 4}Z`
    : `M${x - 4},${y - 3}L${x},${y + 4}L${x + 4},${y - 3}Z`;
  const classes = [
    from.critical && to.critical && 'crit',
    to.state === 'ifneeded' && 'maybe',
    to.state === 'idle' && 'later',
  ];
  return markup`<g class="e ${classes.filter(Boolean).join(' ')}"><path d="${line}" /><path class="tip" d="${tip}" /></g>`;
}

/** Cells for up to 24 members, proportional bars beyond. */
function strip(members: readonly GraphTask[], x: number, y: number, width: number): Html {
  const sorted = [...members].sort((a, b) => cellOrder.indexOf(a.state) - cellOrder.indexOf(b.state));
  const cell = (state: Shape, left: number, wide: number): Html =>
    markup`<rect class="cell s-${state}" x="${left.toFixed(1)}" y="${state === 'idle' ? y + 2 : y}" width="${wide.toFixed(1)}" height="${state === 'idle' ? 4 : 8}" rx="1.5" />`;
  if (sorted.length <= cellsUpTo) {
    const step = Math.min(12, width / sorted.length);
    return markup`${sorted.map(({ state }, index) => cell(state, x + index * step, step - 2))}`;
  }
  let left = x;
  const bars = cellOrder.flatMap((state) => {
    const count = sorted.filter((member) => member.state === state).length;
    if (count === 0) return [];
    const wide = Math.max(3, (count * width) / sorted.length - 1.5);
    const drawn = cell(state, left, wide);
    left += wide + 1.5;
    return [drawn];
  });
  return markup`${bars}`;
}

const countsInWords = (members: readonly GraphTask[]): string =>
  cellOrder
    .map((state) => [state, members.filter((member) => member.state === state).length] as const)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${shapeWords[state]}`)
    .join(', ');

function box(
  node: GraphNode,
  [centreX, centreY]: readonly [number, number],
  { boxWidth: width, titleLines }: Placed,
  href: string,
): Html {
  const height = heightOf(node, titleLines);
  const [cx, cy] = [Math.round(centreX), Math.round(centreY)];
  const [x, y] = [cx - width / 2, cy - height / 2];
  const isGate = node.kind === 'gate';
  const signX = x + signLeft(node);
  const room = textRoom(node, width);
  const [label, words] = [foreignText(node.label), foreignText(node.sub)];
  const [lines, sub] = [inLines(label, titleLines, room), fitted(words, room, 11.5, false)];
  const title = lines.join(' ');
  // A title of one line among those of two stands in the middle of its box.
  const top = y + ((titleLines - lines.length) * lineHeight) / 2;
  const below = top + (lines.length - 1) * lineHeight;
  const state = node.folded ? countsInWords(node.members) : shapeWords[node.state];
  const isCut = title !== label || sub !== words;
  // Whoever speaks to the page says what stands there (WCAG 2.5.3); the whole follows.
  const whole = isCut ? `: ${label}, ${words}` : '';
  const say = `${title} ${sub}${whole}, ${state}${node.critical ? ', on the critical path' : ''}`;
  const card = isGate
    ? markup`<path class="card" d="M${x + 10},${y}H${x + width - 10}L${x + width},${cy}L${x + width - 10},${y + height}H${x + 10}L${x},${cy}Z" />`
    : markup`<rect class="card" x="${x}" y="${y}" width="${width}" height="${height}" rx="6" />`;
  const back = node.folded && [
    markup`<rect class="back" x="${x + 6}" y="${y - 4}" width="${width - 12}" height="${height}" rx="6" />`,
    markup`<rect class="back" x="${x + 3}" y="${y - 2}" width="${width - 6}" height="${height}" rx="6" />`,
  ];
  const classes = ['n', `s-${node.state}`, node.critical && 'crit', isGate && 'gate'].filter(Boolean).join(' ');
  return markup`<a class="${classes}" href="${href}" aria-label="${say}"
    >${isCut && markup`<title>${label}: ${words}</title>`}${back}${card}<use class="g g-${node.state}" href="#g-${node.state}" x="${signX}" y="${top + 10}" width="16" height="16" /><text
      class="t"
      x="${signX + 20}"
      y="${top + 22}"
      >${lines.map((line, index) => (index === 0 ? markup`${line}` : markup` <tspan x="${signX + 20}" dy="${lineHeight}">${line}</tspan>`))}</text
    ><text class="m" x="${signX + 20}" y="${below + 39}"> ${sub}</text>${node.folded && strip(node.members, x + 10, below + 52, width - 20)}</a
  >`;
}

/** One drawing; the links stand in the order of layers, which is the order of Tab. */
export function drawGraph(
  nodes: readonly GraphNode[],
  { direction, room, href }: { direction: Direction; room: number; href: (node: GraphNode) => string },
): Html {
  const layout = placed(nodes, direction, room);
  const { at, edges, width, height } = layout;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const now = (node: GraphNode): GraphNode => byId.get(node.id) ?? node; // a layout from the cache has older states
  const critical = ({ from, to }: PlacedEdge): number => (now(from).critical && now(to).critical ? 1 : 0);
  const [main, cross] = direction === 'across' ? ([0, 1] as const) : ([1, 0] as const);
  const ordered = nodes
    .map((node) => [node, at.get(node.id) ?? ([0, 0] as const)] as const)
    .sort(([, a], [, b]) => a[main] - b[main] || a[cross] - b[cross]);
  const [w, h] = [Math.ceil(width) + 2 * margin, Math.ceil(height) + 2 * margin + 3];
  return markup`<svg
    class="graph ${direction}"
    role="group"
    aria-label="The plan as a graph"
    viewBox="${-margin} ${-margin - 3} ${w} ${h}"
    width="${w}"
    height="${h}"
    >${[...edges].sort((a, b) => critical(a) - critical(b)).map((one) => edge({ ...one, from: now(one.from), to: now(one.to) }, layout))}${ordered.map(
      ([node, point]) => box(node, point, layout, href(node)),
    )}</svg
  >`;
}
