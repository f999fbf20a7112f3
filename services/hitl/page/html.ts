/** Text that is HTML already; everything else that goes into a template is escaped. */
export class Html {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

export type Part = Html | string | number | bigint | false | null | undefined | readonly Part[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string): string => text.replace(/[&<>"']/g, (sign) => entities[sign] ?? sign);
// Marks that turn the direction of text or cannot be seen: an agent's text could hide words behind them. The selector
// that makes a sign an emoji (U+FE0F) is let through.
const hidden =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;
const nameOf = (sign: string): string => `U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;

const render = (part: Part): string => {
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map((one: Part) => render(one)).join('');
  if (part === false || part === null || part === undefined) return '';
  return escape(String(part));
};

/** A template whose holes are escaped, lists are joined, and absent things are nothing. */
export const markup = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(strings.reduce((text, piece, index) => text + render(parts[index - 1]) + piece));

/** Only for text that this program made itself. */
export const trusted = (text: string): Html => new Html(text);

/** Text of agents and of plans: shown as it is, with characters that hide or turn text made visible. */
export const foreign = (text: string): Html =>
  trusted(escape(text).replace(hidden, (sign) => `<span class="invis">${nameOf(sign)}</span>`));

/** The same where no element may stand: in attributes, titles and drawings. */
export const foreignText = (text: string): string => text.replace(hidden, (sign) => `[${nameOf(sign)}]`);

export const hidesSomething = (text: string): boolean => foreignText(text) !== text;

/** JSON in which every hidden character is written as an escape; it says the same. */
export const visibleJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(hidden, (sign) =>
    [...Array(sign.length).keys()].map((at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  );
