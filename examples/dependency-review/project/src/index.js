'use strict';
module.exports = { ...require('./entries'), ...require('./render'), ...require('./search'), ...require('./settings') };
