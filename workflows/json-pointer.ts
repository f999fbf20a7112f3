import type { Json, JsonObject } from './contracts/json';
import { isArray, isObject } from './plan-values';

/** The parts of a JSON Pointer (RFC 6901), unescaped. */
export const pointerTokens = (pointer: string): readonly string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Whether a value can be put there: an object takes new members. Where `isOpen` holds, anything may come to be. */
export function hasPlace(
  target: Json,
  [head, ...rest]: readonly string[],
  isOpen: (value: Json) => boolean = () => false,
): boolean {
  if (head === undefined || isOpen(target)) return true;
  const next = memberOf(target, head);
  return next === undefined ? isObject(target) && rest.length === 0 : hasPlace(next, rest, isOpen);
}

/** The same with another value there, which must have a place. */
export function replaceAt(target: Json, [head, ...rest]: readonly string[], value: Json): Json {
  if (head === undefined) return value;
  const next = replaceAt(memberOf(target, head) ?? null, rest, value);
  if (isArray(target)) return target.map((one, index) => (String(index) === head ? next : one));
  return { ...(target as JsonObject), [head]: next };
}

function memberOf(target: Json, key: string): Json | undefined {
  if (isArray(target)) return /^(0|[1-9]\d*)$/.test(key) ? target[Number(key)] : undefined;
  return isObject(target) && Object.hasOwn(target, key) ? target[key] : undefined;
}
