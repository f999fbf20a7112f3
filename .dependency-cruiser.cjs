// The import rules of README, checked on every test run. Purity is an allow-list, so node:* is caught too.
const pure = '^workflows/(plan-language|plan-schema|plan-problems|plan-graph|plan-[a-z-]+|expressions|expression-[a-z-]+|json-schema|approval-[a-z-]+|digest)\\.ts$';
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'contracts-import-only-themselves', severity: 'error', from: { path: '^workflows/contracts/' },
      to: { pathNot: ['^workflows/contracts/', '^node_modules/@temporalio/(workflow|common)/'] } },
    { name: 'workflows-are-deterministic', severity: 'error', from: { path: '^workflows/' },
      to: { pathNot: ['^workflows/', '^activities/', '^node_modules/@temporalio/(workflow|common)/', '^node_modules/(@marcbachmann/cel-js|@cfworker/json-schema|canonicalize|@noble/hashes)/'] } },
    { name: 'workflows-see-activities-as-types', severity: 'error', from: { path: '^workflows/' },
      to: { path: '^activities/', dependencyTypesNot: ['type-only'] } },
    { name: 'activities-stay-below', severity: 'error', from: { path: '^activities/' }, to: { path: '^(services|workers|cli|agents|stack|test)/' } },
    { name: 'activities-see-contracts-only', severity: 'error', from: { path: '^activities/' },
      to: { path: '^workflows/', pathNot: ['^workflows/contracts/', pure], dependencyTypesNot: ['type-only'] } },
    { name: 'services-start-workflows-by-name', severity: 'error', from: { path: '^(services|cli|agents)/' },
      to: { path: '^workflows/', pathNot: ['^workflows/contracts/', pure], dependencyTypesNot: ['type-only'] } },
    { name: 'agents-hold-no-store', severity: 'error', from: { path: '^agents/' }, to: { path: '^(activities/stores|services/(?!runtime)|workers|stack)/' } },
    { name: 'the-cli-is-a-client', severity: 'error', from: { path: '^cli/' }, to: { path: '^(activities|workers|agents|services/(?!runtime))/' } },
    { name: 'nothing-imports-tests', severity: 'error', from: { pathNot: '^test/' }, to: { path: '^test/' } },
    { name: 'no-dev-packages-at-run-time', severity: 'error', from: { path: '^(workflows|activities|workers|services|agents|cli)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['^dist/', '^examples/[^/]+/project/', '_pb\\.ts$'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'require', 'types', 'default'] },
  },
};
