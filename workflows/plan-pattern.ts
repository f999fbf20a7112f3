/**
 * Whether a pattern can take more than linear time for each character: a repetition of something that varies in length
 * or in its alternatives, a look-around, or a back reference.
 */
export function canRunForEver(pattern: string): boolean {
  if (/\(\?[=!<]/.test(pattern)) return true;
  // Of each open group: whether something inside it repeats or can be matched in more than one way.
  const groups: { isOpenEnded: boolean; hasChoice: boolean }[] = [{ isOpenEnded: false, hasChoice: false }];
  let closed: { readonly isOpenEnded: boolean; readonly hasChoice: boolean } | undefined;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    const inner = groups.at(-1);
    const group = closed;
    closed = undefined;
    if (character === '\\') {
      at += 1;
      if (/[1-9k]/.test(pattern[at] ?? '')) return true;
    } else if (character === '[') at = endOfClass(pattern, at);
    else if (character === '(') groups.push({ isOpenEnded: false, hasChoice: false });
    else if (character === '|') {
      if (inner) inner.hasChoice = true;
    } else if (character === ')') {
      closed = groups.length > 1 ? groups.pop() : undefined;
      const outer = groups.at(-1);
      if (outer && closed) {
        outer.isOpenEnded ||= closed.isOpenEnded;
        outer.hasChoice ||= closed.hasChoice;
      }
    } else if (character === '*' || character === '+' || character === '{') {
      const bounds = character === '{' ? /^\{(\d+)(,(\d*))?\}/.exec(pattern.slice(at, at + 24)) : undefined;
      const most = bounds ? Number(bounds[2] === undefined ? bounds[1] : bounds[3] || Infinity) : Infinity;
      if (group?.isOpenEnded === true && most > 1) return true;
      if (group?.hasChoice === true && most > 9) return true;
      if (inner && (most === Infinity || bounds?.[2] !== undefined)) inner.isOpenEnded = true;
      if (bounds) at += bounds[0].length - 1;
    }
  }
  return false;
}

function endOfClass(pattern: string, from: number): number {
  for (let at = from + 1; at < pattern.length; at++) {
    if (pattern[at] === '\\') at += 1;
    else if (pattern[at] === ']') return at;
  }
  return pattern.length;
}
