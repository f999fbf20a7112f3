import { z } from 'zod';
import { artifactReference, capability, type Capability } from '../work';
import { applyUpgrades, deleteBranch } from './branches';
import { comparePackage } from './compare';
import { takeInventory } from './inventory';
import { packageName, packageVersion, upgrade } from './package-spec';
import { publishArtifacts } from './publish';
import { writeReport } from './report';
import { runProjectTests } from './run-tests';
import type { Workplace } from './workplace';

const branch = z.string().min(1).max(200);
const outdated = z.object({ name: z.string(), current: z.string(), latest: z.string() });
const comparison = z.object({
  name: z.string(),
  from: z.string(),
  to: z.string(),
  risk: z.enum(['low', 'medium', 'high']),
  reasons: z.array(z.string()),
  summary: z.string(),
});
const testResult = z.object({
  name: z.string(),
  passed: z.boolean(),
  milliseconds: z.number(),
  problem: z.string(),
  log: artifactReference,
});

/** What the example's plan asks for; see examples/dependency-review. */
export const dependencyReviewCapabilities = (workplace: Workplace): readonly Capability[] => [
  capability({
    name: 'npm-inventory',
    description: "Finds a project's own dependencies that have a newer published version",
    input: z.strictObject({ project: artifactReference }),
    output: z.object({ outdated: z.array(outdated) }),
    run: async (input, work) => ({ outdated: [...(await takeInventory(input, work, workplace)).outdated] }),
  }),
  capability({
    name: 'npm-compare',
    description: 'Tells what changed between two published versions of a package, and how risky that is',
    input: z.strictObject({ name: packageName, from: packageVersion, to: packageVersion }),
    output: comparison,
    run: async (input, work) => {
      const { reasons, ...rest } = await comparePackage(input, work, workplace);
      return { ...rest, reasons: [...reasons] };
    },
  }),
  capability({
    name: 'npm-test',
    description: "Runs a project's tests with upgrades in it, or those of a branch",
    input: z.strictObject({
      project: artifactReference,
      upgrades: z.array(upgrade).default([]),
      branch: branch.optional(),
      timeoutSeconds: z.number().int().min(1).max(3600).default(300),
      failWhenRed: z.boolean().default(false),
    }),
    output: testResult,
    run: (input, work) => runProjectTests(input, work, workplace),
  }),
  capability({
    name: 'dependency-report',
    description: 'Writes the review in Markdown',
    input: z.strictObject({
      // Items that failed within what the plan allows come as null.
      changes: z.array(comparison.partial({ from: true, reasons: true }).nullable()),
      tests: z.array(testResult.partial({ milliseconds: true, problem: true, log: true }).nullable()),
    }),
    output: z.object({ markdown: artifactReference }),
    run: async ({ changes, tests }, work) => {
      const present = <T>(items: readonly (T | null)[]): T[] => items.filter((item) => item !== null);
      const bytes = Buffer.from(writeReport(present(changes), present(tests)));
      return { markdown: await work.keep({ name: 'dependency-review.md', mediaType: 'text/markdown', bytes }) };
    },
  }),
  capability({
    name: 'npm-apply',
    description: 'Commits upgrades to a branch of a managed copy of the project',
    input: z.strictObject({ project: artifactReference, branch, upgrades: z.array(upgrade).max(200) }),
    output: z.object({ branch: z.string(), commit: z.string(), diff: artifactReference }),
    run: (input, work) => applyUpgrades(input, work, workplace),
  }),
  capability({
    name: 'git-delete-branch',
    description: 'Removes a branch of the managed copy; one that is not there is fine',
    input: z.strictObject({ project: artifactReference.optional(), branch }),
    output: z.object({ branch: z.string(), deleted: z.boolean() }),
    run: (input, work) => deleteBranch(input, work, workplace),
  }),
  capability({
    name: 'publish-artifacts',
    description: "Puts documents and an index of their digests into the plan's folder",
    input: z.strictObject({ artifacts: z.array(artifactReference).max(500) }),
    output: z.object({ files: z.array(z.string()), index: artifactReference }),
    run: async (input, work) => {
      const { files, index } = await publishArtifacts(input, work, workplace);
      return { files: [...files], index };
    },
  }),
];
