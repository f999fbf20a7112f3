import { foreign, markup, type Html } from './html';

/**
 * The Markdown that agents write reports in: headings, paragraphs, lists, tables, fenced code, emphasis and code.
 * Links and pictures stay text, so that a document from outside can neither load anything nor send anybody anywhere.
 */
export function markdown(text: string): Html {
  const lines = text.replace(/\r\n?/g, '\n').split('\n');
  const blocks: Html[] = [];
  let index = 0;
  const take = (fits: (line: string) => boolean): string[] => {
    const taken: string[] = [];
    for (let line = lines[index]; line !== undefined && fits(line); line = lines[++index]) taken.push(line);
    return taken;
  };
  while (index < lines.length) {
    const line = lines[index] ?? '';
    const fence = /^(`{3,}|~{3,})/.exec(line)?.[1];
    if (line.trim() === '') index++;
    else if (fence !== undefined) {
      index++;
      const code = take((one) => one.trim() !== fence);
      index++;
      blocks.push(
        markup`<div class="scroll" tabindex="0" role="region" aria-label="Text of a program"><pre>${foreign(code.join('\n'))}</pre></div>`,
      );
    } else if (/^#{1,6} /.test(line)) {
      index++;
      // The page has its own first and second level.
      const words = inline(line.replace(/^#+ /, ''));
      blocks.push(line.startsWith('# ') ? markup`<h3>${words}</h3>` : markup`<h4>${words}</h4>`);
    } else if (/^[-*] /.test(line))
      blocks.push(
        markup`<ul>${take((one) => /^[-*] /.test(one)).map((one) => markup`<li>${inline(one.slice(2))}</li>`)}</ul>`,
      );
    else if (line.startsWith('|')) blocks.push(table(take((one) => one.startsWith('|'))));
    else
      blocks.push(
        markup`<p>${inline(take((one) => one.trim() !== '' && !/^(#{1,6} |[-*] |\||`{3,}|~{3,})/.test(one)).join(' '))}</p>`,
      );
  }
  // A long document shows its beginning; the rest is one step away.
  if (blocks.length <= blocksShown + 2) return markup`${blocks}`;
  return markup`${blocks.slice(0, blocksShown)}<details class="more"><summary>Show the rest</summary><div class="in rest">${blocks.slice(blocksShown)}</div></details>`;
}

const blocksShown = 6;
const cells = (row: string): readonly string[] =>
  row
    .slice(1)
    .replace(/\|\s*$/, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

function table(rows: readonly string[]): Html {
  const [head = '', ...body] = rows;
  const content = body.filter((row) => !/^[|\s:-]+$/.test(row));
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Table of the report"><table class="cmp"><thead><tr>${cells(head).map((cell) => markup`<th scope="col">${inline(cell)}</th>`)}</tr></thead><tbody>${content.map(
    (row) => markup`<tr>${cells(row).map((cell) => markup`<td>${inline(cell)}</td>`)}</tr>`,
  )}</tbody></table></div>`;
}

/** Code, strong and emphasis; a backslash takes the meaning of the sign after it away. */
function inline(text: string): Html {
  const pieces = text.split(/(`[^`]+`|\*\*[^*]+\*\*|(?<!\\)\*[^*\s][^*]*\*)/);
  const plain = (piece: string): Html => foreign(piece.replace(/\\([\\`*_[\]<>|#!])/g, '$1'));
  return markup`${pieces.map((piece, index) => {
    if (index % 2 === 0) return plain(piece);
    if (piece.startsWith('`')) return markup`<code>${foreign(piece.slice(1, -1))}</code>`;
    return piece.startsWith('**')
      ? markup`<b>${plain(piece.slice(2, -2))}</b>`
      : markup`<em>${plain(piece.slice(1, -1))}</em>`;
  })}`;
}
