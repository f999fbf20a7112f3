import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { markup, type Html } from './html';

export const dateOf = (at: Timestamp | undefined): Date | undefined => (at ? timestampDate(at) : undefined);

const two = (value: number): string => String(value).padStart(2, '0');
const clock = (at: Date): string => `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
const seconds = (at: Date): string => `${clock(at)}:${two(at.getUTCSeconds())}`;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const day = (at: Date): string => `${at.getUTCDate()} ${months[at.getUTCMonth()] ?? ''}`;

/** A moment in UTC; the page's script puts it into the reader's own zone. Within a day the clock time is enough. */
export function moment(at: Date | undefined, now: Date, form: 'short' | 'seconds' = 'short'): Html {
  if (!at) return markup``;
  return markup`<time datetime="${at.toISOString()}" data-time="${form}">${momentText(at, now, form)}</time>`;
}
export function momentText(at: Date, now: Date, form: 'short' | 'seconds' = 'short'): string {
  const near = Math.abs(now.getTime() - at.getTime()) < 20 * 3_600_000;
  if (!near) return `${day(at)}, ${clock(at)}`;
  return form === 'seconds' ? seconds(at) : clock(at);
}

/** `0.4 s`, `38 s`, `2 min 05 s`, `2 h 06 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 1) return `${Math.max(1, Math.round(s * 10)) / 10} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(Math.floor(s % 60))} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}
/** `2 m 05 s`: for boxes, where `min` is too wide. */
export const shortDuration = (milliseconds: number): string => duration(milliseconds).replace(' min', ' m');
/** What is left of time, without seconds: people plan by minutes. */
export function remaining(milliseconds: number): string {
  const minutes = Math.max(0, Math.round(milliseconds / 60_000));
  if (minutes < 1) return 'less than a minute';
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.floor((minutes % 1440) / 60);
  return `${Math.floor(minutes / 1440)} d${hours > 0 ? ` ${hours} h` : ''}`;
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

export const bytes = (count: number): string =>
  count < 1000
    ? `${count} B`
    : count < 1_000_000
      ? `${(count / 1000).toFixed(1)} kB`
      : `${(count / 1_000_000).toFixed(1)} MB`;
export const thousands = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',');
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${thousands(count)} ${count === 1 ? one : many}`;
export const list = (words: readonly string[], last: 'and' | 'or' = 'and'): string =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
export const ordinal = (place: number): string =>
  ['first', 'second', 'third', 'fourth', 'fifth'][place - 1] ?? `${place}th`;
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** People by their directory name: `mara` is Mara to her colleagues. */
export const personName = (name: string): string => capital(name);

/** `group:maintainers` as people say it. */
export function whoWords(who: string): string {
  const [kind, name] = [who.slice(0, who.indexOf(':')), who.slice(who.indexOf(':') + 1)];
  if (kind === 'person') return personName(name);
  if (kind === 'group') return `anybody of ${name}`;
  return `any ${name.replace(/^aats-/, '')}`;
}
/** The reader comes first, as "you". */
export function whoMay(by: readonly string[], waitingForYou: boolean, you: string): string {
  const others = by.filter((one) => one !== `person:${you}`).map(whoWords);
  return list(waitingForYou ? ['you', ...others] : others, 'or');
}
