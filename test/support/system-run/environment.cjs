const { TestEnvironment } = require('jest-environment-node');

// Each file of tests has a global object of its own; what the run started is handed on to it.
module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.sharedServices = globalThis.sharedServices;
  }
};
