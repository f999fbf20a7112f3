import { z } from 'zod';
import { inParallel } from '../in-parallel';
import { artifactReference, capability, type Capability, type Work } from '../work';
import { applyUpgrades, deleteBranch } from './branches';
import { comparePackage, type Evidence } from './compare';
import { readJson } from './documents';
import { type Inventory, takeInventory } from './inventory';
import { packageName, packageVersion, upgrade } from './package-spec';
import { publishArtifacts } from './publish';
import { type Conclusion, type Review, writeReport } from './report';
import { runProjectTests } from './run-tests';
import type { Workplace } from './workplace';

const branch = z.string().min(1).max(200);
const outdated = z.object({ name: z.string(), current: z.string(), latest: z.string() });
const comparison = z.object({
  name: z.string(),
  from: z.string(),
  to: z.string(),
  risk: z.enum(['low', 'medium', 'high']),
  summary: z.string(),
  evidence: artifactReference,
});
const testResult = z.object({
  name: z.string(),
  passed: z.boolean(),
  ran: z.boolean(),
  milliseconds: z.number(),
  problem: z.string(),
  log: artifactReference,
});
const applied = z.object({
  branch: z.string(),
  commit: z.string(),
  diff: artifactReference,
  upgrades: artifactReference,
});
/** Null is what expressions give for a task that did not come to a result. */
const reviewInput = z.strictObject({
  review: z.strictObject({
    inventory: artifactReference,
    comparisons: z.array(artifactReference),
    tests: z.array(testResult),
    baseline: testResult.nullable(),
    unfinished: z.array(z.strictObject({ name: z.string(), step: z.string(), problem: z.string() })),
  }),
  /** Given once a person has answered. */
  conclusion: z
    .strictObject({
      applied: applied.nullable(),
      tests: testResult.nullable(),
      declined: z.object({ type: z.string(), message: z.string() }).nullable(),
    })
    .optional(),
});

/** What the example's plan asks for; see examples/dependency-review. */
export const dependencyReviewCapabilities = (workplace: Workplace): readonly Capability[] => [
  capability({
    name: 'npm-inventory',
    description: "Finds a project's own dependencies that have a newer published version",
    input: z.strictObject({ project: artifactReference }),
    output: z.object({ outdated: z.array(outdated), inventory: artifactReference }),
    run: async (input, work) => {
      const { inventory, outdated } = await takeInventory(input, work, workplace);
      return { inventory, outdated: [...outdated] };
    },
  }),
  capability({
    name: 'npm-compare',
    description: 'Tells what changed between two published versions of a package, and how risky that is',
    input: z.strictObject({ name: packageName, from: packageVersion, to: packageVersion }),
    output: comparison,
    run: (input, work) => comparePackage(input, work, workplace),
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
    input: reviewInput,
    output: z.object({ markdown: artifactReference }),
    run: async (input, work) => {
      const bytes = Buffer.from(writeReport(await gather(input, work)));
      return { markdown: await work.keep({ name: 'dependency-review.md', mediaType: 'text/markdown', bytes }) };
    },
  }),
  capability({
    name: 'npm-apply',
    description: 'Commits upgrades to a branch of a managed copy of the project',
    input: z.strictObject({ project: artifactReference, branch, upgrades: z.array(upgrade).max(200) }),
    output: applied,
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

/** Reads what the tasks before kept. */
async function gather({ review, conclusion }: z.output<typeof reviewInput>, work: Work): Promise<Review> {
  const { inventory, comparisons, baseline, ...rest } = review;
  return {
    ...rest,
    inventory: await readJson<Inventory>(work, inventory),
    comparisons: await inParallel(comparisons, 8, (one) => readJson<Evidence>(work, one)),
    ...(baseline && { baseline }),
    ...(conclusion && { conclusion: await conclude(conclusion, work) }),
  };
}

async function conclude(
  { applied: branch, tests, declined }: NonNullable<z.output<typeof reviewInput>['conclusion']>,
  work: Work,
): Promise<Conclusion> {
  if (!branch) return declined ? { declined } : {};
  const upgrades = await readJson<NonNullable<Conclusion['applied']>['upgrades']>(work, branch.upgrades);
  return { applied: { ...branch, upgrades, ...(tests && { tests }) } };
}
