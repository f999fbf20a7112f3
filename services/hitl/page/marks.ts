import { markup, type Html, type Part } from './html';

/** What a shape stands for; each has a symbol `g-…` in the sprite. */
export type Shape =
  | 'done'
  | 'running'
  | 'retrying'
  | 'you'
  | 'waiting'
  | 'failed'
  | 'idle'
  | 'ifneeded'
  | 'paused'
  | 'skipped'
  | 'cancelled'
  // A state that this page does not know: the server's own word stands beside it.
  | 'unknown';
type Sign = Shape | 'info' | 'person';

export const glyph = (sign: Sign): Html =>
  markup`<svg class="g g-${sign}" aria-hidden="true" viewBox="0 0 16 16"><use href="#g-${sign}" /></svg>`;

/** Shape, then word, then colour. */
export const stateMark = (shape: Shape, words: Part): Html =>
  markup`<span class="state s-${shape}">${glyph(shape)}<span>${words}</span></span>`;

const risks = ['low', 'medium', 'high'] as const;
export type Risk = (typeof risks)[number];
export const isRisk = (value: unknown): value is Risk => risks.some((risk) => risk === value);
export const riskMark = (risk: Risk): Html =>
  markup`<span class="risk ${risk}"
    ><svg viewBox="0 0 14 12" aria-hidden="true">
      <rect class="b1" x="0" y="8" width="3.5" height="4" />
      <rect class="b2" x="5" y="4" width="3.5" height="8" />
      <rect class="b3" x="10" y="0" width="3.5" height="12" /></svg
    >${risk.charAt(0).toUpperCase()}${risk.slice(1)}<span class="vh"> risk</span></span
  >`;

export type NoteKind = 'ask' | 'bad' | 'good' | 'info';
export const note = (kind: NoteKind, title: Part, body: Part, id = 'note'): Html => {
  const sign = { ask: 'you', bad: 'failed', good: 'done', info: 'info' }[kind] as Sign;
  // What went wrong is read out at once; what went well waits for a pause.
  return markup`<div class="note ${kind}" role="${kind === 'bad' ? 'alert' : 'status'}" tabindex="-1" id="${id}">
    ${glyph(sign)}
    <h2>${title}</h2>
    ${body}
  </div>`;
};

/** A bar of parts in hundredths; drawn as SVG because no inline style is allowed. */
export function bar(
  label: string,
  parts: readonly (readonly [kind: 'a' | 'd' | 'f' | 'r' | 'y', share: number])[],
): Html {
  let left = 0;
  const rects = parts
    .filter(([, share]) => share > 0)
    .map(([kind, share]) => {
      const rect = markup`<rect class="${kind}" x="${left.toFixed(1)}" width="${(share * 100).toFixed(1)}" height="8" />`;
      left += share * 100;
      return rect;
    });
  return markup`<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="${label}">
    <rect width="100" height="8" />${rects}
  </svg>`;
}

export const command = (label: string, text: string): Html =>
  markup`<div class="cmd">
    <code>${text}</code
    ><button class="btn mini js-only" type="button" data-copy aria-label="Copy: ${label}">Copy</button>
  </div>`;

/** For programs; what has a dollar is the reader's own. */
export const curl = (method: 'GET' | 'POST', path: string, body?: string): string =>
  [
    `curl --cacert ca.crt -H "authorization: Bearer $TOKEN" "$AATS_PROJECT_MANAGER_URL${path}"`,
    ...(method === 'GET' ? [] : [`-X ${method} -H 'content-type: application/json' -d '${body ?? '{}'}'`]),
  ].join(' ');
