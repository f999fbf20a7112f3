'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { readSettings } = require('../src');

test('has defaults', () => {
  assert.deepEqual(readSettings(), {
    title: 'Release notes',
    kinds: { added: 'Added', changed: 'Changed', fixed: 'Fixed' },
    recent: 30 * 24 * 3600 * 1000,
  });
});

test('merges YAML deeply, and variables last', () => {
  const settings = readSettings('title: Ours\nkinds: { fixed: Repaired }', 'NOTES_TITLE="Theirs" # really\nNOTES_RECENT=2h');
  assert.equal(settings.title, 'Theirs');
  assert.deepEqual(settings.kinds, { added: 'Added', changed: 'Changed', fixed: 'Repaired' });
  assert.equal(settings.recent, 7_200_000);
});

test('refuses what is no length of time', () => {
  assert.throws(() => readSettings('recent: soon'), /not a length of time: soon/);
});
