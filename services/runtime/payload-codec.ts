import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Payload, PayloadCodec } from '@temporalio/common';

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/** Small payloads stay as they are, to be read in the Temporal UI. */
const fromBytes = 64 * 1024;
/** A payload has at most 2 MiB when it is stored; what it may become is bounded too. */
const maxBytes = 64 * 1024 * 1024;
const encoding = 'binary/gzip';
const original = 'aats-encoding';

/**
 * Compresses large payloads: a plan of 10,000 tasks with every default written out has over 3 MiB of JSON and would
 * hang at the server's 2 MiB; compressed it has a tenth. Every client and worker of our workflows needs it.
 */
export const payloadCodec: PayloadCodec = {
  encode: (payloads) =>
    Promise.all(
      payloads.map(async (payload): Promise<Payload> => {
        if (!payload.data || payload.data.length < fromBytes) return payload;
        return {
          ...payload,
          metadata: {
            ...payload.metadata,
            encoding: Buffer.from(encoding),
            [original]: payload.metadata?.['encoding'] ?? Buffer.from('binary/plain'),
          },
          data: await zip(payload.data, { level: 1 }),
        };
      }),
    ),
  decode: (payloads) =>
    Promise.all(
      payloads.map(async (payload): Promise<Payload> => {
        const known = payload.metadata?.[original];
        if (!known || !payload.data || Buffer.from(payload.metadata?.['encoding'] ?? []).toString() !== encoding)
          return payload;
        return {
          ...payload,
          metadata: { ...payload.metadata, encoding: known },
          data: await unzip(payload.data, { maxOutputLength: maxBytes }),
        };
      }),
    ),
};
export const dataConverter = { payloadCodecs: [payloadCodec] };
