import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { nearest } from '../workflows/plan-problems';
import { putFile, referenceTo } from './artifact-commands';
import type { CommandContext } from './command';
import type { Connection } from './connection';
import { CommandFailed, exitCodes, type FailureLine } from './exit-codes';

/**
 * `name=value` entries as the plan's inputs: JSON, else text; `@path` is a file, which `store` puts into the artifact
 * store and `describe` only refers to. Rejects with everything that is wrong before anything is stored.
 */
export async function readInputs(
  context: CommandContext,
  connection: Connection,
  entries: readonly string[],
  files: 'store' | 'describe',
): Promise<JsonObject> {
  const problems: FailureLine[] = [];
  const inputs: JsonObject = {};
  const paths = new Map<string, string>();
  for (const entry of entries) {
    const at = entry.indexOf('=');
    const [name, value] = [entry.slice(0, at), entry.slice(at + 1)];
    if (at < 1) problems.push({ name: entry, message: 'is not name=value' });
    else if (Object.hasOwn(inputs, name) || paths.has(name)) problems.push({ name, message: 'is given twice' });
    else if (value.startsWith('@')) paths.set(name, value.slice(1));
    else inputs[name] = literal(value);
  }
  for (const [name, path] of paths)
    try {
      inputs[name] = await referenceTo(path);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const [line] = error.failure.lines;
      const near = nearFile(path);
      problems.push({
        name,
        message: `${path}: ${line?.message ?? error.message}`,
        ...(near !== undefined && { suggestion: `did you mean @${near}?` }),
      });
    }
  if (problems.length > 0)
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: problems.length === 1 ? 'one input cannot be used' : `${problems.length} inputs cannot be used`,
      lines: problems,
    });
  if (files === 'store') for (const path of paths.values()) await putFile(context, connection, path);
  return inputs;
}

const literal = (text: string): JsonValue => {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
};

/** The file beside a path that its writer may have meant. */
function nearFile(path: string): string | undefined {
  try {
    const found = nearest(basename(path), readdirSync(dirname(path)));
    return found === undefined || found === basename(path) ? undefined : join(dirname(path), found);
  } catch {
    return undefined; // there is no such folder either
  }
}
