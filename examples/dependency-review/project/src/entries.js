'use strict';
const { readFile, readdir } = require('node:fs/promises');
const { join } = require('node:path');
const debug = require('debug')('release-notes:entries');
const equal = require('fast-deep-equal');
const { customAlphabet } = require('nanoid');
const pLimit = require('p-limit');
const semver = require('semver');
const YAML = require('yaml');

const makeId = customAlphabet('0123456789abcdef', 12);

/** Entries of all files in a folder, newest version first; an entry that stands twice counts once. */
async function loadEntries(folder) {
  const atOnce = pLimit(4);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort();
  const lists = await Promise.all(
    files.map((name) => atOnce(async () => YAML.parse(await readFile(join(folder, name), 'utf8')))),
  );
  const entries = [];
  for (const entry of lists.flat()) {
    if (!semver.valid(entry.version)) throw new Error(`Not a version: ${entry.version}`);
    if (entries.some(({ id: _id, ...known }) => equal(known, entry))) debug('twice: %o', entry);
    else entries.push({ id: makeId(), ...entry });
  }
  return entries.sort((a, b) => semver.rcompare(a.version, b.version));
}

/** Entries of versions that satisfy a range, such as `>=1.2 <2`. */
const inRange = (entries, range) => entries.filter(({ version }) => semver.satisfies(version, range));

module.exports = { loadEntries, inRange };
