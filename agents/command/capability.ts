import { z } from 'zod';
import { join } from 'node:path';
import { taskFailed } from '../task-failed';
import { artifactReference, capability, type Capability } from '../work';
import { runProgram } from './run-program';

const MiB = 1024 * 1024;

/** The file that says which programs may run: names for plans, and what each of them may use. */
export const allowedPrograms = z.record(
  z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  z.strictObject({
    /** Absolute, so that no PATH decides what runs. */
    program: z.string().startsWith('/'),
    /** Arguments that always come first. */
    args: z.array(z.string()).default([]),
    /** Regular expression that each argument of a plan must match from end to end; without it none may be given. */
    argument: z
      .string()
      .transform((text) => new RegExp(`^(?:${text})$`, 'v'))
      .optional(),
    timeoutSeconds: z.number().int().min(1).default(60),
    outputBytes: z.number().int().min(1).default(MiB),
    memoryBytes: z
      .number()
      .int()
      .min(16 * MiB)
      .default(512 * MiB),
    processes: z.number().int().min(1).default(32),
    fileBytes: z
      .number()
      .int()
      .min(0)
      .default(64 * MiB),
    environment: z.record(z.string(), z.string()).default({}),
    /** Whether it may use the network; loopback servers of the machine are part of that. */
    network: z.boolean().default(false),
  }),
);
export type AllowedPrograms = z.output<typeof allowedPrograms>;

const fileName = z.string().regex(/^\w[\w.-]{0,99}$/, 'must be a file name');

/** Runs a program of the list in an empty folder of its own, with an environment of its own and without a shell. */
export const commandCapability = (programs: AllowedPrograms, user?: string): Capability =>
  capability({
    name: 'command',
    description: `Runs one of: ${Object.keys(programs).sort().join(', ') || 'no program is allowed here'}`,
    input: z.strictObject({
      program: z.string(),
      args: z.array(z.string().max(4096)).max(100).default([]),
      /** Standard input. */
      input: z.string().max(65_536).optional(),
      /** Documents to lay into the folder first. */
      files: z
        .array(z.strictObject({ name: fileName, artifact: artifactReference }))
        .max(50)
        .default([]),
      /** Exit codes that are no failure. */
      accept: z.array(z.number().int().min(0).max(255)).default([0]),
    }),
    output: z.object({
      exitCode: z.number().int(),
      milliseconds: z.number(),
      /** The last 1,000 characters. */
      tail: z.string(),
      stdout: artifactReference,
      stderr: artifactReference,
    }),
    run: async ({ program: name, args, input, files, accept }, work) => {
      const allowed = Object.hasOwn(programs, name) ? programs[name] : undefined;
      if (!allowed) throw taskFailed('ProgramNotAllowed', `${name} is not on this agent's list of programs`);
      const { program, argument, environment, timeoutSeconds, outputBytes, memoryBytes, processes, fileBytes } =
        allowed;
      const wrong = args.findIndex((text) => !argument?.test(text) || text.includes('\0'));
      if (wrong >= 0) throw taskFailed('ArgumentNotAllowed', `Argument ${wrong} of ${name} is not of the allowed form`);
      for (const file of files) await work.fetch(file.artifact, join(work.folder, file.name));
      const result = await runProgram({
        program,
        arguments: [...allowed.args, ...args],
        folder: work.folder,
        environment: { PATH: '/usr/bin:/bin', HOME: work.folder, TMPDIR: work.folder, LANG: 'C.UTF-8', ...environment },
        ...(input !== undefined && { input }),
        limits: { timeoutMs: timeoutSeconds * 1000, outputBytes, memoryBytes, processes, fileBytes },
        owner: { user, folder: work.folder },
        network: allowed.network,
        signal: work.signal,
      });
      if (result.endedBy) throw taskFailed('LimitReached', `${name} reached its ${result.endedBy} limit`);
      if (result.exitCode === null || !accept.includes(result.exitCode)) {
        const last = (result.stderr || result.stdout).trim().slice(-500);
        throw taskFailed('ProgramFailed', `${name} ended with ${result.exitCode ?? 'a signal'}${last && `: ${last}`}`);
      }
      const keep = (file: string, text: string): ReturnType<typeof work.keep> =>
        work.keep({ name: file, mediaType: 'text/plain', bytes: Buffer.from(text) });
      return {
        exitCode: result.exitCode,
        milliseconds: result.milliseconds,
        tail: result.stdout.slice(-1000),
        stdout: await keep('stdout.txt', result.stdout),
        stderr: await keep('stderr.txt', result.stderr),
      };
    },
  });
