import type { GraphNode } from './graph-fold';
import { drawGraph } from './graph-svg';
import { foreign, foreignText, markup, type Html } from './html';
import { glyph, type Shape } from './marks';
import { sprite } from './sprite';
import { list } from './words';

/** What the drawing says, as a list in the order of the plan. */
export function graphList(nodes: readonly GraphNode[], address: (node: GraphNode) => string): Html {
  const labels = new Map(nodes.map(({ id, label }) => [id, label]));
  return markup`<ol class="steps">${nodes.map(
    (node) =>
      markup`<li><span>${glyph(node.state)} <a href="${address(node)}">${foreign(node.label)}</a>: ${foreign(node.sub)}${node.critical && ', on the critical path'}${node.needs.length > 0 && markup` <span class="quiet">after ${foreign(list(node.needs.map((id) => `“${labels.get(id) ?? id}”`)))}</span>`}</span></li>`,
  )}</ol>`;
}

const quoted = (text: string): string => `"${foreignText(text).replace(/[\\"]/g, '\\$&').replace(/\s+/g, ' ')}"`;
// Mermaid reads HTML and its own marks in labels; entities are taken literally.
const literal = (text: string): string =>
  `"${foreignText(text)
    .replace(/[^\p{L}\p{N} .,:…-]/gu, (sign) => `#${sign.codePointAt(0) ?? 0};`)
    .replace(/\s+/g, ' ')}"`;
const numbered = (nodes: readonly GraphNode[]): ReadonlyMap<string, string> =>
  new Map(nodes.map(({ id }, index) => [id, `n${index}`]));
const edges = (nodes: readonly GraphNode[]): readonly (readonly [from: string, to: string])[] => {
  const names = numbered(nodes);
  return nodes.flatMap(({ id, needs }) =>
    needs.map((need) => [names.get(need) ?? '', names.get(id) ?? ''] as const).filter(([from]) => from !== ''),
  );
};
const dotColours: Partial<Record<Shape, string>> = {
  done: '#1f7a4d',
  running: '#2463a8',
  retrying: '#2463a8',
  failed: '#c2331f',
  you: '#a86a00',
  waiting: '#a86a00',
};

/** For Graphviz. */
export function graphDot(title: string, nodes: readonly GraphNode[]): string {
  const names = numbered(nodes);
  const lines = nodes.map(({ id, kind, label, sub, state, critical }) => {
    const dashed = state === 'idle' || state === 'ifneeded' ? ', style=dashed' : '';
    const wide = critical ? ', penwidth=2.5' : '';
    return `  ${names.get(id) ?? ''} [label=${quoted(`${label}: ${sub}`)}, shape=${kind === 'gate' ? 'hexagon' : 'box'}, color="${dotColours[state] ?? '#6b6f76'}"${dashed}${wide}];`;
  });
  return `digraph plan {\n  label=${quoted(title)};\n  rankdir=LR;\n${lines.join('\n')}\n${edges(nodes)
    .map(([from, to]) => `  ${from} -> ${to};`)
    .join('\n')}\n}\n`;
}

export function graphMermaid(nodes: readonly GraphNode[]): string {
  const names = numbered(nodes);
  const lines = nodes.map(({ id, kind, label, sub, state }) => {
    const text = literal(`${label}: ${sub}`);
    return `  ${names.get(id) ?? ''}${kind === 'gate' ? `{{${text}}}` : `[${text}]`}:::${state}`;
  });
  const classes = Object.entries(dotColours).map(([state, colour]) => `  classDef ${state} stroke:${colour}`);
  return `flowchart LR\n${lines.join('\n')}\n${edges(nodes)
    .map(([from, to]) => `  ${from} --> ${to}`)
    .join('\n')}\n${classes.join('\n')}\n`;
}

const fileStyle =
  'svg{font-family:system-ui,sans-serif;background:#fff}.card{fill:#fff;stroke:#888}.back{fill:#fff;stroke:#ddd}.t{font-weight:600;font-size:12.5px;fill:#222}.m{font-size:11.5px;fill:#555}.e path{fill:none;stroke:#999;stroke-width:1.5}.e .tip{fill:#999;stroke:none}.e.crit path{stroke:#222;stroke-width:3}.e.crit .tip{fill:#222;stroke:none}.e.later path,.e.maybe path{stroke-dasharray:5 4}.g{color:#6b6f76}.g-done{color:#1f7a4d}.g-running,.g-retrying{color:#2463a8}.g-failed{color:#c2331f}.g-you,.g-waiting{color:#a86a00}.g-on{stroke:#fff}.on{fill:#fff}.fillme{fill:currentColor}.s-idle .card,.s-ifneeded .card{stroke-dasharray:4 3}.s-failed .card{stroke:#c2331f;fill:#fdecea}.s-running .card{stroke:#2463a8;fill:#eaf2fb}.s-you .card{stroke:#a86a00;fill:#fff3d6}.crit .card{stroke-width:2.25}.cell{fill:#6b6f76}.cell.s-done{fill:#1f7a4d}.cell.s-running,.cell.s-retrying{fill:#2463a8}.cell.s-failed{fill:#c2331f}.cell.s-you,.cell.s-waiting{fill:#e0a100}';

/** The drawing as a file that stands alone. */
export function graphFile(
  nodes: readonly GraphNode[],
  options: { readonly room: number; readonly address: (node: GraphNode) => string },
): string {
  const drawing = drawGraph(nodes, { direction: 'across', room: options.room, href: options.address }).text;
  const signs = /<defs>[\s\S]*<\/defs>/.exec(sprite.text)?.[0] ?? '';
  return `<?xml version="1.0" encoding="UTF-8"?>\n${drawing.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"').replace(/>/, `><style>${fileStyle}</style>${signs}`)}\n`;
}
