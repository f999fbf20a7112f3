import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { JsonObject } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { connected, examples, type CommandContext, type Runner } from './command';
import type { Connection } from './connection';
import { CommandFailed, exitCodes } from './exit-codes';
import { reasonOf, unreadable } from './settings';
import { safe } from './terminal';

const mediaTypes: Readonly<Record<string, string>> = {
  '.tgz': 'application/gzip',
  '.gz': 'application/gzip',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.txt': 'text/plain',
  '.diff': 'text/x-diff',
  '.pdf': 'application/pdf',
};

// With --json a document travels inside a line of text.
const jsonBytes = 16 * 1024 * 1024;

export function addArtifactCommands(program: Command, run: Runner): void {
  const artifact = program.command('artifact').description('documents of plans and agents');
  artifact
    .command('get <artifact>')
    .description('fetch a document (sha256:…); its digest is checked')
    .option('-o, --output <file>', 'write it there; default standard output, with --json as base64 in the object')
    .addHelpText(
      'after',
      examples('aats artifact get sha256:9f2c… | less', 'aats artifact get sha256:9f2c… -o report.md'),
    )
    .action((id: string, { output }: { readonly output?: string }, command: Command) =>
      run(command, { notDone: 'Not fetched' })((context) =>
        connected(context, async (connection) => {
          const content = verified(context, connection, id);
          if (output !== undefined) await fetchTo(context, content, id, output);
          else if (context.json) {
            const bytes = await collect(content);
            context.print({ artifact: id, size: bytes.length, base64: bytes.toString('base64') });
          } else {
            context.terminal.doing(); // the document itself shows that it comes
            await pipeline(content, process.stdout, { end: false, signal: context.interrupted });
          }
        }),
      ),
    );
  artifact
    .command('put <file>')
    .description('store a document of your own, for an input of a plan')
    .addHelpText('after', examples('aats artifact put project.tar.gz'))
    .action((file: string, _options: object, command: Command) =>
      run(command, { notDone: 'Not stored' })((context) =>
        connected(context, async (connection) => {
          const stored = await putFile(context, connection, file);
          if (context.json) context.print(stored);
          else {
            const { terminal } = context;
            terminal.line(`${terminal.paint('green', '✓')} ${safe(stored.name)} is stored, ${stored.size} bytes`);
            terminal.line(`  ${stored.artifact}`);
          }
        }),
      ),
    );
}

/** Under its name only when whole and proven: a broken transfer leaves nothing that looks right. */
async function fetchTo(context: CommandContext, content: AsyncIterable<Uint8Array>, id: string, file: string) {
  const aside = `${file}.part`;
  try {
    await pipeline(content, createWriteStream(aside), { signal: context.interrupted });
    await rename(aside, file);
  } catch (error) {
    await rm(aside, { force: true });
    if (error instanceof Error && 'syscall' in error) throw unwritable(file, error);
    throw error;
  }
  const { size } = await stat(file);
  if (context.json) context.print({ artifact: id, file, size });
  else
    context.terminal.line(`${context.terminal.paint('green', '✓')} ${safe(file)}, ${size} bytes, digest as promised`);
}
const unwritable = (file: string, error: unknown): CommandFailed =>
  new CommandFailed({
    exitCode: exitCodes.wrongInput,
    title: 'I cannot write the file',
    lines: [{ name: file, message: reasonOf(error) }],
  });

async function collect(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > jsonBytes)
      throw new CommandFailed({
        exitCode: exitCodes.wrongInput,
        title: `the document has more than ${jsonBytes} bytes, too many for a line of JSON`,
        lines: [],
        hint: 'Write it to a file: -o FILE',
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* verified(
  { terminal }: CommandContext,
  { artifacts }: Connection,
  artifact: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let [received, size] = [0, 0];
  for await (const { info, chunk } of artifacts.getArtifact({ artifact })) {
    size = Number(info?.size ?? size);
    received += chunk.length;
    terminal.doing(`fetching ${share(received, size)}`);
    hash.update(chunk);
    yield chunk;
  }
  const digest = `sha256:${hash.digest('hex')}`;
  if (digest !== artifact)
    throw new CommandFailed({
      exitCode: exitCodes.unexpected,
      title: `the content is not ${artifact}`,
      lines: [{ message: `it is ${digest}` }],
    });
}
const share = (done: number, size: number): string =>
  `${Math.floor(done / 1_000_000)} of ${Math.ceil(size / 1_000_000)} MB`;

interface Reference {
  readonly artifact: string;
  readonly name: string;
  readonly mediaType: string;
  readonly size: number;
}

/** What a file is called as an artifact; stores nothing. Rejects when it cannot be read. */
export async function referenceTo(file: string): Promise<Reference & JsonObject> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw notAFile(file);
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
    const name = basename(file);
    const mediaType = mediaTypes[extname(name)] ?? 'application/octet-stream';
    return { artifact: `sha256:${hash.digest('hex')}`, name, mediaType, size: found.size };
  } catch (error) {
    throw error instanceof CommandFailed ? error : unreadable('the file', file, error);
  }
}
const notAFile = (file: string): CommandFailed =>
  new CommandFailed({
    exitCode: exitCodes.wrongInput,
    title: 'I cannot read the file',
    lines: [{ name: file, message: 'it is a folder; pack it into an archive first' }],
  });

/** Stores a file as an artifact and gives its reference; going on where an earlier try stopped. */
export async function putFile(
  { terminal }: CommandContext,
  { artifacts }: Connection,
  file: string,
): Promise<Reference> {
  const reference = await referenceTo(file);
  const { artifact, name, mediaType, size } = reference;
  const { received, complete } = await artifacts.getUpload({ artifact });
  if (!complete)
    await artifacts.putArtifact(
      (async function* () {
        yield {
          part: { case: 'header' as const, value: { name, mediaType, size: BigInt(size), artifact, offset: received } },
        };
        let sent = Number(received);
        for await (const chunk of createReadStream(file, { start: sent, highWaterMark: 512 * 1024 })) {
          yield { part: { case: 'chunk' as const, value: chunk as Uint8Array } };
          sent += (chunk as Uint8Array).length;
          terminal.doing(`storing ${name}, ${share(sent, size)}`);
        }
      })(),
    );
  return reference;
}
