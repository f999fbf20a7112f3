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
    readonly type:
      'HostNotAllowed' | 'AddressNotAllowed' | 'TooLarge' | 'TooManyRedirects' | 'RedirectRefused' | 'Timeout',
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
/** All that another origin learns of a plan's headers: any of the others may be a key. */
const negotiation = new Set(['accept', 'accept-charset', 'accept-encoding', 'accept-language', 'user-agent']);
const bodyHeader = /^content-/i;

/**
 * Asks over HTTPS, hosts of the list only; every redirect is held against the list again. To another origin (scheme,
 * host or port) goes only GET or HEAD, with no header of the plan's but what negotiates the content. Rejects with
 * HttpRefused, with the signal's reason, or with the error of the connection.
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

/** What a redirect asks for: 303 asks with GET, and so do 301 and 302 after POST (RFC 9110, 15.4). Throws HttpRefused. */
function redirected(asked: HttpQuestion, status: number, to: URL): HttpQuestion {
  const { method, headers, body } = asked;
  const isRead = method === 'GET' || method === 'HEAD';
  const becomesGet = !isRead && (status === 303 || (method === 'POST' && (status === 301 || status === 302)));
  const sameOrigin = to.origin === new URL(asked.url).origin;
  if (!sameOrigin && !becomesGet && (!isRead || body !== undefined)) {
    throw new HttpRefused(
      'RedirectRefused',
      `${method} ${asked.url} was sent on to ${to.origin}; only GET and HEAD without a body go to another origin`,
    );
  }
  const kept = Object.entries(headers).filter(
    ([name]) => (sameOrigin || negotiation.has(name.toLowerCase())) && !(becomesGet && bodyHeader.test(name)),
  );
  return {
    url: to.href,
    method: becomesGet ? 'GET' : method,
    headers: Object.fromEntries(kept),
    ...(!becomesGet && body !== undefined && { body }),
  };
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
