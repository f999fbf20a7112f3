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
// Marks that turn the direction of text or cannot be seen: an agent's text could hide words behind them.
const hidden = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;

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
  trusted(
    escape(text).replace(
      hidden,
      (sign) =>
        `<span class="invis">U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}</span>`,
    ),
  );
