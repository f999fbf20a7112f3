'use strict';
const assert = require('node:assert/strict');
const { join } = require('node:path');
const { test } = require('node:test');
const minimist = require('minimist');
const { inRange, loadEntries, search } = require('../src');

const folder = minimist(['--entries', join(__dirname, 'entries')]).entries;

test('sorts by version, newest first, and drops repeats', async () => {
  const entries = await loadEntries(folder);
  assert.deepEqual(entries.map(({ version }) => version), ['1.10.0', '1.2.0', '1.0.0']);
  assert.ok(entries.every(({ id }) => /^[0-9a-f]{12}$/.test(id)));
});

test('selects a range of versions', async () => {
  const entries = inRange(await loadEntries(folder), '>=1.1 <1.5');
  assert.deepEqual(entries.map(({ version }) => version), ['1.2.0']);
});

test('searches for words as they are written', async () => {
  const entries = await loadEntries(folder);
  assert.equal(search(entries, '(WITH words)').length, 1);
  assert.equal(search(entries, '.*').length, 0);
});
