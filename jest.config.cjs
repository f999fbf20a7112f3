// jest cannot require() ESM before Node 24.9: each ESM-only package is named once and compiled by swc.
const esmOnly = [
  '@marcbachmann/cel-js',
  'listr2',
  'd3-dag',
  'd3-array',
  'internmap',
  'javascript-lp-solver',
  'quadprog',
  'stringify-object',
  'canonicalize',
  '@noble/hashes',
];
const options = (syntax) => ({
  jsc: { ...(syntax && { parser: { syntax } }), target: 'es2023' },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
});
const shared = {
  testEnvironment: 'node',
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  transform: { '^.+\\.ts$': ['@swc/jest', options('typescript')], '^.+\\.m?js$': ['@swc/jest', options()] },
};
const project = (name) => ({ ...shared, displayName: name, testMatch: [`<rootDir>/test/${name}/**/*.test.ts`] });
const system = {
  ...project('system'),
  globalSetup: '<rootDir>/test/support/system-run/start.ts',
  globalTeardown: '<rootDir>/test/support/system-run/stop.ts',
  testEnvironment: '<rootDir>/test/support/system-run/environment.cjs',
};
module.exports = {
  maxWorkers: 2,
  testTimeout: 30_000,
  projects: [...['workflows', 'replay', 'activities', 'stores', 'services'].map(project), system],
};
