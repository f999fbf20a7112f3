'use strict';
const assert = require('node:assert/strict');
const { join } = require('node:path');
const { test } = require('node:test');
const { createCommand } = require('../src/cli');
const { anchorOf, readSettings, toMarkdown, toTerminal } = require('../src');

const entries = [{ version: '1.0.0', kind: 'added', text: 'First' }];

test('makes anchors of titles', () => {
  assert.equal(anchorOf('Version 1.0.0 — “Été”'), 'version-100-ete');
});

test('writes Markdown', () => {
  const text = toMarkdown(entries, readSettings());
  assert.equal(text, '# Release notes\n\n## <a id="version-100"></a>1.0.0\n\n- Added: First\n');
});

test('paints for a terminal, and not without colours', () => {
  assert.match(toTerminal(entries, readSettings()), /\u001b\[36m1\.0\.0\u001b\[39m\n {2}\u001b\[2mAdded\u001b\[22m First/);
  assert.equal(toTerminal(entries, readSettings(), { color: false }), 'Release notes\n1.0.0\n  Added First');
});

test('the command filters by range and words', async () => {
  const written = [];
  const command = createCommand((text) => written.push(text));
  const folder = join(__dirname, 'entries');
  await command.parseAsync([folder, '--range', '>=1.1', '--search', 'search', '--no-color'], { from: 'user' });
  assert.deepEqual(written, ['Release notes\n1.2.0\n  Added Search (with words) works']);
});
