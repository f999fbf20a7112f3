#!/usr/bin/env node
'use strict';
const { Command } = require('commander');
const { inRange, loadEntries } = require('./entries');
const { toMarkdown, toTerminal } = require('./render');
const { search } = require('./search');
const { readSettings } = require('./settings');

/** The command; `write` gets the text instead of standard output. */
function createCommand(write = (text) => process.stdout.write(`${text}\n`)) {
  return new Command('release-notes')
    .argument('<folder>', 'folder of YAML entries')
    .option('-r, --range <range>', 'only these versions', '*')
    .option('-s, --search <words>', 'only entries with these words')
    .option('-m, --markdown', 'Markdown instead of colours')
    .option('--no-color', 'no colours')
    .action(async (folder, options) => {
      const settings = readSettings();
      let entries = inRange(await loadEntries(folder), options.range);
      if (options.search) entries = search(entries, options.search);
      write(options.markdown ? toMarkdown(entries, settings) : toTerminal(entries, settings, options));
    });
}

if (require.main === module) createCommand().parseAsync();

module.exports = { createCommand };
