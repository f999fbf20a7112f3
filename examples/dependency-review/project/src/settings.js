'use strict';
const dotenv = require('dotenv');
const merge = require('deepmerge');
const ms = require('ms');
const YAML = require('yaml');

const defaults = {
  title: 'Release notes',
  kinds: { added: 'Added', changed: 'Changed', fixed: 'Fixed' },
  recent: '30d',
};

/** Settings from YAML, then from lines like `NOTES_TITLE=…`, over the defaults. `recent` comes out in milliseconds. */
function readSettings(yaml = '', env = '') {
  const variables = dotenv.parse(env);
  const fromEnv = {
    ...(variables.NOTES_TITLE && { title: variables.NOTES_TITLE }),
    ...(variables.NOTES_RECENT && { recent: variables.NOTES_RECENT }),
  };
  const settings = merge.all([defaults, YAML.parse(yaml) ?? {}, fromEnv]);
  const recent = ms(settings.recent);
  if (recent === undefined) throw new Error(`recent is not a length of time: ${settings.recent}`);
  return { ...settings, recent };
}

module.exports = { readSettings };
