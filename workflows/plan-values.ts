import type { Json, JsonObject } from './contracts/json';

export const durationPattern = /^[1-9][0-9]{0,8}(ms|s|m|h|d)$/;
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration of the language: one whole number, one unit. */
export function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m|h|d)$/.exec(text);
  return Number(match?.[1] ?? 0) * (unitMs[match?.[2] ?? ''] ?? 0);
}

/** Ids of tasks, and names of inputs and secrets. */
export const idPattern = /^[a-z][A-Za-z0-9]{0,62}$/;

const words: Readonly<Record<string, string>> = {
  ms: 'ms',
  milli: 'ms',
  s: 's',
  sec: 's',
  second: 's',
  m: 'm',
  min: 'm',
  minute: 'm',
  h: 'h',
  hr: 'h',
  hour: 'h',
  d: 'd',
  day: 'd',
  w: 'w',
  week: 'w',
};
const unitOf = (word: string): string | undefined =>
  words[word.toLowerCase().replace(/s$/, '')] ?? words[word.toLowerCase()];

/** How a text that is no duration should have been written. */
export function mendDuration(text: string): { readonly advice: string } {
  const general = 'write one whole number and one unit: 500ms, 30s, 15m, 8h, 90d';
  if (!/[1-9]/.test(text)) return { advice: general };
  const iso = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(text);
  if (iso)
    return {
      advice: `write "${shortest(
        iso
          .slice(1)
          .map(Number)
          .map((n) => (Number.isNaN(n) ? 0 : n)) as [number, number, number, number],
      )}"`,
    };
  const worded = /^(\d+)\s*([a-z]+)$/i.exec(text.trim());
  const unit = worded && unitOf(worded[2] ?? '');
  if (unit === 'w') return { advice: `write "${Number(worded?.[1]) * 7}d"` };
  if (unit !== undefined && unit !== null) return { advice: `write "${Number(worded?.[1])}${unit}"` };
  const parts = [...text.matchAll(/(\d+)\s*(d|h|m|s)(?![a-z])/gi)];
  if (parts.length > 1) {
    const total = (letter: string): number =>
      parts.filter(([, , one]) => one?.toLowerCase() === letter).reduce((sum, [, n]) => sum + Number(n), 0);
    return { advice: `use one number and one unit: "${shortest([total('d'), total('h'), total('m'), total('s')])}"` };
  }
  return { advice: general };
}
function shortest([d, h, m, s]: readonly [number, number, number, number]): string {
  const seconds = d * 86_400 + h * 3600 + m * 60 + s;
  if (seconds % 86_400 === 0 && d > 0) return `${seconds / 86_400}d`;
  if (seconds % 3600 === 0) return `${seconds / 3600}h`;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}

/** Characters that no store keeps as they are: U+0000, and half of a pair. */
const unkept = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Where a text, or a key, cannot be kept as it is; the first twenty. */
export function unkeptPlaces(value: Json, pointer = '', found: string[] = []): readonly string[] {
  if (found.length >= 20) return found;
  if (typeof value === 'string' && unkept.test(value)) found.push(pointer);
  else if (isArray(value)) value.forEach((one, index) => unkeptPlaces(one, `${pointer}/${index}`, found));
  else if (isObject(value))
    for (const [key, one] of Object.entries(value)) {
      if (unkept.test(key)) found.push(pointer);
      else unkeptPlaces(one, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, found);
    }
  return found;
}
export const unkeptMessage =
  'Here stands the character U+0000 or half a character, which cannot be kept; leave it out.';

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isArray = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);
export const shown = (value: Json): string =>
  JSON.stringify(value).length > 60 ? `${JSON.stringify(value).slice(0, 57)}…` : JSON.stringify(value);
export const camel = (text: string): string =>
  text
    .replace(/[^A-Za-z0-9]+(.)?/g, (_, next: string | undefined) => next?.toUpperCase() ?? '')
    .replace(/^[^a-z]+/, (start) => start.toLowerCase().replace(/^[^a-z]+/, ''));
export const kebab = (text: string): string =>
  text
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
