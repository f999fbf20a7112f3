import { appendFileSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { taskFailed } from '../../agents/task-failed';
import { artifactReference, capability, type Capability, type Work } from '../../agents/work';
import { openBookings } from './bookings';

/** A place of the example agents' world: the folders and files they work with. */
export const worldOf = (folder: string) => ({
  bookings: join(folder, 'bookings'),
  secrets: join(folder, 'secrets'),
  /** Marks of what was tried once. */
  tried: join(folder, 'tried'),
  /** Files that a test makes to let work end. */
  signs: join(folder, 'signs'),
  /** A file for each plan that walked, with what its walkers did. */
  walks: join(folder, 'walks'),
});

const words = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;
const readArtifact = async (document: z.output<typeof artifactReference>, work: Work): Promise<string> => {
  const file = join(work.folder, 'document');
  await work.fetch(document, file);
  return readFile(file, 'utf8');
};

/** What the plans of `examples/plans` ask for, and what shows the ways of a task beside them. */
export function exampleCapabilities(folder: string): readonly Capability[] {
  const world = worldOf(folder);
  for (const one of Object.values(world)) mkdirSync(one, { recursive: true });
  return [...documentCapabilities(), ...travelCapabilities(world), ...trialCapabilities(world)];
}

const documentCapabilities = (): readonly Capability[] => [
  capability({
    name: 'list-documents',
    description: 'Keeps each text of a folder as a document',
    input: z.strictObject({ folder: z.string() }),
    output: z.array(artifactReference),
    run: async ({ folder }, work) => {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort();
      return Promise.all(
        names.map(async (name) =>
          work.keep({ name, mediaType: 'text/plain', bytes: await readFile(join(folder, name)) }),
        ),
      );
    },
  }),
  capability({
    name: 'summarise',
    description: 'Counts the words of a document and takes its first sentence',
    input: z.strictObject({ document: artifactReference }),
    output: z.object({ words: z.number().int(), text: z.string() }),
    run: async ({ document }, work) => {
      const text = await readArtifact(document, work);
      if (text.trim() === '') throw taskFailed('NothingToSummarise', `${document.name} is empty`);
      return { words: words(text), text: /^[^.]*\./.exec(text)?.[0] ?? text };
    },
  }),
  capability({
    name: 'merge-summaries',
    description: 'Puts summaries together',
    input: z.strictObject({ texts: z.array(z.string()), failed: z.number().int() }),
    output: z.object({ summary: z.string() }),
    needsFolder: false,
    run: ({ texts, failed }) => Promise.resolve({ summary: `${texts.length} read, ${failed} not: ${texts.join(' ')}` }),
  }),
];

/** An airline, a hotel, a car rental and a bank. */
function travelCapabilities(world: ReturnType<typeof worldOf>): readonly Capability[] {
  const bookings = openBookings(world.bookings);
  const booked = z.object({ booking: z.string() });
  const booking = (name: string, input: z.ZodType<{ readonly key: string }>, full?: string): Capability =>
    capability({
      name,
      description: `Books, unless it is for ${full ?? 'nobody'}`,
      input,
      output: booked,
      needsFolder: false,
      run: (given) => {
        if (full !== undefined && Object.values(given).includes(full))
          throw taskFailed('FullyBooked', `${full} is fully booked`);
        bookings.enter('booked', given.key);
        return Promise.resolve({ booking: given.key });
      },
    });
  const key = z.string();
  return [
    booking('book-flight', z.strictObject({ traveller: z.string(), from: z.string(), to: z.string(), key })),
    booking('book-hotel', z.strictObject({ traveller: z.string(), city: z.string(), key }), 'Atlantis'),
    booking('book-car', z.strictObject({ city: z.string(), key }), 'Venice'),
    capability({
      name: 'cancel-booking',
      description: 'Cancels a booking, if there is one; airlines answer at the second call',
      input: z.strictObject({ key }),
      output: z.object({}),
      needsFolder: false,
      run: ({ key: booking }) => {
        if (booking.endsWith('-flight') && isFirstTry(world.tried, booking))
          throw taskFailed('LineBusy', 'nobody answered', { retryable: true });
        bookings.cancel(booking);
        return Promise.resolve({});
      },
    }),
    capability({
      name: 'charge-card',
      description: 'Charges the card of a traveller who is not called Tom',
      input: z.strictObject({ traveller: z.string(), includesCar: z.boolean() }),
      output: z.object({ charged: z.number().int() }),
      needsFolder: false,
      run: async ({ traveller, includesCar }, work) => {
        const token = await readFile(join(world.secrets, work.secrets['paymentToken'] ?? ''), 'utf8');
        if (traveller === 'Tom') throw taskFailed('CardDeclined', `the card behind ${token.length} letters is empty`);
        bookings.enter('charged', work.idempotencyKey);
        return { charged: includesCar ? 700 : 500 };
      },
    }),
  ];
}

const trialCapabilities = (world: ReturnType<typeof worldOf>): readonly Capability[] => [
  capability({
    name: 'write-text',
    description: 'Writes a text of so many words',
    input: z.strictObject({ words: z.number().int() }),
    output: z.object({ text: z.string() }),
    needsFolder: false,
    run: ({ words: count }) =>
      Promise.resolve({ text: Array.from({ length: count }, (_, at) => `word${at}`).join(' ') }),
  }),
  capability({
    name: 'read-text',
    description: 'Counts the words of a text that travelled as a document',
    input: z.strictObject({ document: artifactReference }),
    output: z.object({ words: z.number().int(), last: z.string() }),
    run: async ({ document }, work) => {
      const { text } = z.object({ text: z.string() }).parse(JSON.parse(await readArtifact(document, work)));
      return { words: words(text), last: text.slice(text.lastIndexOf(' ') + 1) };
    },
  }),
  capability({
    name: 'succeed-later',
    description: 'Fails at the first attempt',
    input: z.strictObject({}),
    output: z.object({ done: z.boolean() }),
    needsFolder: false,
    run: (_, work) => {
      if (isFirstTry(world.tried, work.idempotencyKey))
        throw taskFailed('LineBusy', 'nobody answered', { retryable: true });
      return Promise.resolve({ done: true });
    },
  }),
  capability({
    name: 'await-sign',
    description: 'Ends when a file is there',
    input: z.strictObject({ sign: z.string() }),
    output: z.object({ sign: z.string() }),
    needsFolder: false,
    run: async ({ sign }, work) => {
      while (!existsSync(join(world.signs, sign))) await setTimeout(50, undefined, { signal: work.signal });
      return { sign };
    },
  }),
  capability({
    name: 'walk',
    description: 'Says how far it is, waits for a sign, and adds what it saw to a picture',
    input: z.strictObject({ sign: z.string().optional(), picture: artifactReference.optional() }),
    output: z.object({ seen: z.number().int(), picture: artifactReference }),
    run: async ({ sign, picture }, work) => {
      const note = (deed: string): void => {
        appendFileSync(join(world.walks, work.planId), `${deed}\n`);
      };
      note('began');
      work.progress('half of the way', 50);
      try {
        while (sign !== undefined && !existsSync(join(world.signs, sign)))
          await setTimeout(50, undefined, { signal: work.signal });
      } catch (error) {
        note('stopped');
        throw error;
      }
      const before = picture ? await readArtifact(picture, work) : '';
      const bytes = Buffer.from(`${before}a hill `);
      note('ended');
      return {
        seen: words(bytes.toString()),
        picture: await work.keep({ name: 'picture.txt', mediaType: 'text/plain', bytes }),
      };
    },
  }),
  capability({
    name: 'never-answer',
    description: 'Takes a task and says nothing more, not even when it is told to stop',
    input: z.strictObject({}),
    output: z.object({}),
    needsFolder: false,
    run: () => new Promise<never>(() => undefined),
  }),
  capability({
    name: 'say',
    description: 'Says what it is given',
    input: z.strictObject({ text: z.string() }),
    output: z.object({ said: z.string() }),
    needsFolder: false,
    run: ({ text }) => Promise.resolve({ said: text }),
  }),
];

/** True once for each name, whichever process asks. */
function isFirstTry(folder: string, name: string): boolean {
  try {
    closeSync(openSync(join(folder, encodeURIComponent(name)), 'wx'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
