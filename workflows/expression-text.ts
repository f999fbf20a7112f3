/** A text of the plan language, cut into literal parts and expressions. */
export type TextPart =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'expression'; readonly source: string; readonly offset: number };
export interface ParsedText {
  readonly parts: readonly TextPart[];
  /** Set when an expression is not closed: where it begins. */
  readonly unclosedAt?: number;
}

/**
 * Finds `${{ … }}`: its end is the first `}}` outside CEL strings and braces; `$${{` stands for a literal `${{`
 * (plan language, section 4).
 */
export function parseText(text: string): ParsedText {
  const parts: TextPart[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    if (text.startsWith('$${{', at)) {
      literal += '${{';
      at += 4;
    } else if (text.startsWith('${{', at)) {
      const end = endOfExpression(text, at + 3);
      if (end === undefined) return { parts, unclosedAt: at };
      if (literal !== '') parts.push({ kind: 'literal', text: literal });
      literal = '';
      parts.push({ kind: 'expression', source: text.slice(at + 3, end).trim(), offset: at });
      at = end + 2;
    } else {
      literal += text[at] ?? '';
      at += 1;
    }
  }
  if (literal !== '') parts.push({ kind: 'literal', text: literal });
  return { parts };
}

function endOfExpression(text: string, from: number): number | undefined {
  let braces = 0;
  let at = from;
  while (at < text.length) {
    const character = text[at] ?? '';
    if (character === '"' || character === "'") {
      const end = endOfString(text, at);
      if (end === undefined) return undefined;
      at = end;
      continue;
    }
    if (character === '{') braces += 1;
    if (character === '}') {
      if (braces === 0 && text[at + 1] === '}') return at;
      braces -= 1;
      if (braces < 0) return undefined;
    }
    at += 1;
  }
  return undefined;
}

function endOfString(text: string, from: number): number | undefined {
  const quote = text[from] ?? '';
  const triple = quote.repeat(3);
  const closing = text.startsWith(triple, from) ? triple : quote;
  const isRaw = /[rR]/.test(text[from - 1] ?? '');
  for (let at = from + closing.length; at < text.length; at++) {
    if (text[at] === '\\' && !isRaw) at += 1;
    else if (text.startsWith(closing, at)) return at + closing.length;
  }
  return undefined;
}

/** The source when the text is exactly one expression, white space aside. */
export function soleExpression(text: string): string | undefined {
  const { parts, unclosedAt } = parseText(text);
  if (unclosedAt !== undefined) return undefined;
  const expressions = parts.filter((part) => part.kind === 'expression');
  const rest = parts.filter((part) => part.kind === 'literal' && part.text.trim() !== '');
  const [only] = expressions;
  return expressions.length === 1 && rest.length === 0 && only?.kind === 'expression' ? only.source : undefined;
}
