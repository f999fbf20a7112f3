import { z } from 'zod';
import { taskFailed } from '../task-failed';
import { artifactReference, capability, type Capability } from '../work';
import { HttpRefused, request, type AllowedHost } from './request';

/** The file that says which hosts may be asked, and how. */
export const allowedHosts = z.array(
  z.strictObject({
    host: z.string().regex(/^(\*\.)?[a-z0-9.-]+$/),
    port: z.number().int().min(1).max(65_535).default(443),
    methods: z.array(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])).default(['GET', 'HEAD']),
    private: z.boolean().default(false),
  }),
);

const bodyBytes = 64 * 1024 * 1024;

/** Asks a host of the list. An answer of 5xx or 429 may be better the next time; any other refusal will not. */
export const httpCapability = (hosts: readonly AllowedHost[], ca?: Buffer): Capability =>
  capability({
    name: 'http',
    description: `Asks over HTTPS: ${hosts.map(({ host }) => host).join(', ') || 'no host is allowed here'}`,
    input: z.strictObject({
      url: z.url({ protocol: /^https$/ }),
      method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
      headers: z.record(z.string().regex(/^[\w-]+$/), z.string().regex(/^[\t\x20-\x7e]*$/)).default({}),
      /** Sent as JSON. */
      body: z.json().optional(),
      timeoutSeconds: z.number().int().min(1).max(300).default(30),
      /** Statuses that are no failure; all of 200 to 299 when absent. */
      accept: z.array(z.number().int().min(100).max(599)).optional(),
    }),
    output: z.object({
      status: z.number().int(),
      /** Where the answer came from, after redirects. */
      url: z.string(),
      mediaType: z.string(),
      content: artifactReference,
    }),
    run: async ({ url, method, headers, body, timeoutSeconds, accept }, work) => {
      const json = body === undefined ? undefined : JSON.stringify(body);
      const answer = await request(
        {
          url,
          method,
          headers: { ...headers, ...(json !== undefined && { 'content-type': 'application/json' }) },
          ...(json !== undefined && { body: json }),
        },
        { hosts, limits: { timeoutMs: timeoutSeconds * 1000, bodyBytes }, signal: work.signal, ...(ca && { ca }) },
      ).catch((error: unknown) => {
        if (error instanceof HttpRefused)
          throw taskFailed(error.type, error.message, { retryable: error.type === 'Timeout' });
        work.signal.throwIfAborted();
        throw taskFailed('HostUnreachable', error instanceof Error ? error.message : String(error), {
          retryable: true,
        });
      });
      const fine = accept?.includes(answer.status) ?? (answer.status >= 200 && answer.status < 300);
      if (!fine) {
        const retryable = answer.status >= 500 || answer.status === 429;
        throw taskFailed('UnexpectedStatus', `${method} ${url} answered ${answer.status}`, { retryable });
      }
      const [mediaType = ''] = (answer.headers['content-type'] ?? '').split(';');
      const known = /^[\w.+-]+\/[\w.+-]+$/.test(mediaType) ? mediaType : 'application/octet-stream';
      const content = await work.keep({ name: nameOf(answer.url), mediaType: known, bytes: answer.body });
      return { status: answer.status, url: answer.url, mediaType: known, content };
    },
  });

const nameOf = (url: string): string => new URL(url).pathname.split('/').at(-1)?.slice(-100) || 'index';
