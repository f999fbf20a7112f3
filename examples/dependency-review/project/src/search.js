'use strict';
const escapeStringRegexp = require('escape-string-regexp');

/** Entries whose text has the words, taken literally, whatever their case. */
function search(entries, words) {
  const pattern = new RegExp(escapeStringRegexp(words), 'i');
  return entries.filter(({ text }) => pattern.test(text));
}

module.exports = { search };
