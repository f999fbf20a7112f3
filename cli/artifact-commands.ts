import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { connected, type Runner } from './command';
import type { Connection } from './connection';
import { CommandFailed, exitCodes } from './exit-codes';

const mediaTypes: Readonly<Record<string, string>> = {
  '.tgz': 'application/gzip',
  '.gz': 'application/gzip',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.txt': 'text/plain',
  '.diff': 'text/x-diff',
  '.pdf': 'application/pdf',
};

export function addArtifactCommands(program: Command, run: Runner): void {
  const artifact = program.command('artifact').description('documents of plans and agents');
  artifact
    .command('get <artifact>')
    .description('fetch a document (sha256:…); its digest is checked')
    .option('-o, --output <file>', 'write it there; default standard output')
    .action((id: string, options: { readonly output?: string }, command: Command) =>
      run(command)((context) =>
        connected(context, async (connection) => {
          if (options.output === undefined) {
            await pipeline(Readable.from(verified(connection, id)), process.stdout, { end: false });
            return;
          }
          // Under its name only when whole and proven: a broken transfer leaves nothing that looks right.
          const aside = `${options.output}.part`;
          try {
            await pipeline(Readable.from(verified(connection, id)), createWriteStream(aside));
            await rename(aside, options.output);
          } catch (error) {
            await rm(aside, { force: true });
            throw error;
          }
          const { size } = await stat(options.output);
          if (context.json) context.print({ artifact: id, file: options.output, size });
          else
            context.terminal.line(
              `${context.terminal.paint('green', '✓')} ${options.output}, ${size} bytes, digest as promised`,
            );
        }),
      ),
    );
  artifact
    .command('put <file>')
    .description('store a document; prints its reference')
    .action((file: string, _options: object, command: Command) =>
      run(command)((context) =>
        connected(context, async (connection) => {
          context.print(await putFile(connection, file));
        }),
      ),
    );
}

async function* verified({ artifacts }: Connection, artifact: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const { chunk } of artifacts.getArtifact({ artifact })) {
    hash.update(chunk);
    yield chunk;
  }
  const digest = `sha256:${hash.digest('hex')}`;
  if (digest !== artifact)
    throw new CommandFailed({
      exitCode: exitCodes.unexpected,
      title: `The content is not ${artifact}.`,
      lines: [`It is ${digest}.`],
    });
}

/** Stores a file as an artifact and gives its reference; going on where an earlier try stopped. */
export async function putFile({ artifacts }: Connection, file: string) {
  const { size } = await stat(file).catch((error: unknown) => {
    throw new CommandFailed({
      exitCode: exitCodes.wrongInput,
      title: `I cannot read ${file}.`,
      lines: [error instanceof Error ? error.message : String(error)],
    });
  });
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  const artifact = `sha256:${hash.digest('hex')}`;
  const name = basename(file);
  const mediaType = mediaTypes[extname(name)] ?? 'application/octet-stream';
  const { received, complete } = await artifacts.getUpload({ artifact });
  if (!complete) {
    await artifacts.putArtifact(
      (async function* () {
        yield {
          part: { case: 'header' as const, value: { name, mediaType, size: BigInt(size), artifact, offset: received } },
        };
        for await (const chunk of createReadStream(file, { start: Number(received), highWaterMark: 512 * 1024 }))
          yield { part: { case: 'chunk' as const, value: chunk as Uint8Array } };
      })(),
    );
  }
  return { artifact, name, mediaType, size };
}
