import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { AddressRefused, isPublicAddress, publicLookup } from './address-guard';

/** One host that may be asked. */
export interface AllowedHost {
  /** Exact name, or `*.example.org` for the names below it. */
  readonly host: string;
  /** Default 443. */
  readonly port?: number;
  readonly methods?: readonly string[];
  /** An address that is not public is wanted here (a service of one's own). */
  readonly private?: boolean;
}
export interface HttpLimits {
  /** For all hops together. */
  readonly timeoutMs: number;
  /** Of the answer's body. */
  readonly bodyBytes: number;
}
export interface HttpQuestion {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}
export interface HttpAnswer {
  readonly status: number;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}
/** Why a request was not made, or its answer not taken; `type` is what the plan sees. */
export class HttpRefused extends Error {
  constructor(
    readonly type: 'HostNotAllowed' | 'AddressNotAllowed' | 'TooLarge' | 'TooManyRedirects' | 'Timeout',
    message: string,
  ) {
    super(message);
  }
}

const maxRedirects = 5;
/** Headers that belong to the connection or would speak for someone else. */
const refusedHeaders = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'proxy-authorization',
]);

/**
 * Asks over HTTPS, hosts of the list only; every redirect is held against the list again and keeps no authorization
 * on another host. Rejects with HttpRefused, with the signal's reason, or with the error of the connection.
 */
export async function request(
  question: HttpQuestion,
  {
    hosts,
    limits,
    signal,
    ca,
  }: { hosts: readonly AllowedHost[]; limits: HttpLimits; signal: AbortSignal; ca?: Buffer },
): Promise<HttpAnswer> {
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  const either = AbortSignal.any([signal, timeout]);
  let asked: HttpQuestion = question;
  try {
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const answer = await ask(asked, allowed(asked, hosts), { limits, signal: either, ...(ca && { ca }) });
      const location = answer.headers['location'];
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer;
      asked = redirected(asked, answer.status, new URL(location, asked.url));
    }
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) throw new HttpRefused('Timeout', `No full answer within ${limits.timeoutMs} ms`);
    if (error instanceof AddressRefused) throw new HttpRefused('AddressNotAllowed', error.message);
    throw error;
  }
  throw new HttpRefused('TooManyRedirects', `More than ${maxRedirects} redirects from ${question.url}`);
}

function allowed({ url, method }: HttpQuestion, hosts: readonly AllowedHost[]): AllowedHost {
  const { protocol, hostname, port, username } = new URL(url);
  const fits = hosts.find(
    (entry) =>
      (entry.host.startsWith('*.') ? hostname.endsWith(entry.host.slice(1)) : hostname === entry.host) &&
      Number(port || 443) === (entry.port ?? 443) &&
      (entry.methods ?? ['GET', 'HEAD']).includes(method),
  );
  if (protocol !== 'https:' || username !== '' || !fits) {
    throw new HttpRefused(
      'HostNotAllowed',
      `${method} ${protocol}//${hostname}${port && `:${port}`} is not on the list`,
    );
  }
  const literal = hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !fits.private && !isPublicAddress(literal)) throw new AddressRefused(literal);
  return fits;
}

function redirected(asked: HttpQuestion, status: number, to: URL): HttpQuestion {
  const sameOrigin = to.origin === new URL(asked.url).origin;
  const headers = Object.fromEntries(
    Object.entries(asked.headers).filter(([name]) => sameOrigin || !/^(authorization|cookie)$/i.test(name)),
  );
  const keeps = status === 307 || status === 308 || asked.method === 'GET' || asked.method === 'HEAD';
  if (!keeps) return { url: to.href, method: 'GET', headers };
  return { ...asked, url: to.href, headers };
}

function ask(
  { url, method, headers, body }: HttpQuestion,
  host: AllowedHost,
  { limits, signal, ca }: { limits: HttpLimits; signal: AbortSignal; ca?: Buffer },
): Promise<HttpAnswer> {
  const refused = Object.keys(headers).find((name) => refusedHeaders.has(name.toLowerCase()));
  if (refused !== undefined) throw new HttpRefused('HostNotAllowed', `The header ${refused} is not the plan's to set`);
  return new Promise((resolve, reject) => {
    const outgoing = requestHttps(
      url,
      {
        method,
        headers: { 'user-agent': 'aats-http', ...headers },
        signal,
        agent: false,
        ...(ca && { ca }),
        ...(!host.private && { lookup: publicLookup }),
      },
      (incoming) => {
        bodyOf(incoming, limits.bodyBytes).then((content) => {
          resolve({ status: incoming.statusCode ?? 0, url, headers: plain(incoming), body: content });
        }, reject);
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

async function bodyOf(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > limit) throw new HttpRefused('TooLarge', `The answer has more than ${limit} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const plain = (incoming: IncomingMessage): Record<string, string> =>
  Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, [value].flat().join(', ')]));
