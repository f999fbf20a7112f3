'use strict';
const chalk = require('chalk');
const pc = require('picocolors');
const slugify = require('slugify');

const anchorOf = (title) => slugify(title, { lower: true, strict: true });

function byVersion(entries) {
  const groups = new Map();
  for (const entry of entries) groups.set(entry.version, [...(groups.get(entry.version) ?? []), entry]);
  return groups;
}

/** Markdown with an anchor for each version. */
function toMarkdown(entries, settings) {
  const lines = [`# ${settings.title}`];
  for (const [version, group] of byVersion(entries)) {
    lines.push('', `## <a id="${anchorOf(`Version ${version}`)}"></a>${version}`, '');
    for (const { kind, text } of group) lines.push(`- ${settings.kinds[kind] ?? kind}: ${text}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The same for a terminal. */
function toTerminal(entries, settings, { color = true } = {}) {
  const paint = new chalk.Instance({ level: color ? 1 : 0 });
  const { dim } = pc.createColors(color);
  const lines = [paint.bold(settings.title)];
  for (const [version, group] of byVersion(entries)) {
    lines.push(paint.cyan(version));
    for (const { kind, text } of group) lines.push(`  ${dim(settings.kinds[kind] ?? kind)} ${text}`);
  }
  return lines.join('\n');
}

module.exports = { anchorOf, toMarkdown, toTerminal };
