import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { isPublicAddress, publicLookup } from '../../agents/http/address-guard';
import { httpCapability } from '../../agents/http/capability';
import { identityEnvironment } from '../support/stack';
import { createDesk, type Desk } from '../support/work';

describe('http agent', () => {
  let desk: Desk;
  const servers: Server[] = [];
  let port: number;
  /** Another origin: only the port differs. */
  let otherPort: number;
  let ca: Buffer;
  const seen: {
    method?: string | undefined;
    url?: string | undefined;
    headers: Record<string, unknown>;
    body: string;
  }[] = [];

  beforeAll(async () => {
    desk = await createDesk();
    const { AATS_CA_FILE = '', AATS_CERT_FILE = '', AATS_KEY_FILE = '' } = identityEnvironment('admin');
    ca = readFileSync(AATS_CA_FILE);
    const listen = async (): Promise<number> => {
      const server = createServer(
        { cert: readFileSync(AATS_CERT_FILE), key: readFileSync(AATS_KEY_FILE) },
        (incoming, answer) => {
          let body = '';
          incoming.on('data', (part: Buffer) => (body += part.toString()));
          incoming.on('end', () => {
            const { method, url, headers } = incoming;
            seen.push({ method, url, headers, body });
            const { searchParams } = new URL(url ?? '', 'https://x');
            const to = searchParams.get('to');
            if (to !== null) answer.writeHead(Number(searchParams.get('status') ?? 302), { location: to }).end();
            else if (url === '/broken') answer.writeHead(503).end();
            else if (url === '/large') answer.end(Buffer.alloc(65 * 1024 * 1024));
            else if (url !== '/silent')
              answer.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end('{"a":1}');
          });
        },
      );
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    };
    [port, otherPort] = [await listen(), await listen()];
  });
  afterAll(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await desk.remove();
  });

  const ask = async (input: object, host: object = {}): Promise<Record<string, unknown>> => {
    const hosts = [port, otherPort].map((one) => ({
      host: 'localhost',
      port: one,
      private: true,
      methods: ['GET', 'POST', 'PUT'],
      ...host,
    }));
    return (await httpCapability(hosts, ca).run(input, await desk.work())) as Record<string, unknown>;
  };
  const at = (path: string): string => `https://localhost:${port}${path}`;
  const elsewhere = (path: string): string => `https://localhost:${otherPort}${path}`;
  const sentOn = (to: string, status = 302): string => at(`/?status=${status}&to=${encodeURIComponent(to)}`);

  it('keeps the answer as a document', async () => {
    const answer = await ask({ url: at('/data.json') });
    expect(answer).toMatchObject({
      status: 200,
      mediaType: 'application/json',
      content: { name: 'data.json', size: 7 },
    });
    expect(desk.contentOf(answer['content'] as never).toString()).toBe('{"a":1}');
  });

  it('sends a body as JSON', async () => {
    await ask({ url: at('/post'), method: 'POST', body: { b: [2] }, headers: { 'x-a': 'y' } });
    expect(seen.at(-1)).toMatchObject({ method: 'POST', body: '{"b":[2]}', headers: { 'x-a': 'y' } });
  });

  it('asks no host, port, method or scheme that is not on its list', async () => {
    const refused = { type: 'HostNotAllowed', retryable: false };
    await expect(ask({ url: 'https://example.org/' })).rejects.toMatchObject(refused);
    await expect(ask({ url: 'https://localhost/' })).rejects.toMatchObject(refused);
    await expect(ask({ url: at('/'), method: 'DELETE' })).rejects.toMatchObject(refused);
    await expect(ask({ url: `https://user:pass@localhost:${port}/` })).rejects.toMatchObject(refused);
    await expect(ask({ url: at('/').replace('https', 'http') })).rejects.toMatchObject({ type: 'InvalidInput' });
    await expect(ask({ url: at('/'), headers: { Host: 'other' } })).rejects.toMatchObject(refused);
  });

  it('follows redirects on the list only, and not for ever', async () => {
    expect(await ask({ url: sentOn('/end') })).toMatchObject({ url: at('/end') });
    for (const away of ['https://example.org/', at('/').replace('https', 'http')])
      await expect(ask({ url: sentOn(away) })).rejects.toMatchObject({ type: 'HostNotAllowed', retryable: false });
    await expect(ask({ url: at('/?to=') })).rejects.toMatchObject({ type: 'TooManyRedirects' });
  });

  it('tells another origin nothing of a plan but what content it wants', async () => {
    const headers = { 'X-Api-Key': 'k', Authorization: 'Bearer t', Cookie: 'c=1', Accept: 'text/csv' };
    await ask({ url: sentOn(elsewhere('/end')), headers });
    const { headers: told = {} } = seen.at(-1) ?? {};
    expect(told).toMatchObject({ host: `localhost:${otherPort}`, accept: 'text/csv' });
    expect(Object.keys(told).sort()).toEqual(['accept', 'connection', 'host', 'user-agent']);
    await ask({ url: sentOn('/end'), headers });
    expect(seen.at(-1)?.headers).toMatchObject({ 'x-api-key': 'k', authorization: 'Bearer t', cookie: 'c=1' });
  });

  it('sends a body on within an origin only', async () => {
    const post = { method: 'POST', body: { b: 2 } };
    await ask({ url: sentOn('/end', 307), ...post });
    expect(seen.at(-1)).toMatchObject({ method: 'POST', url: '/end', body: '{"b":2}' });
    const before = seen.length;
    for (const status of [307, 308])
      await expect(ask({ url: sentOn(elsewhere('/end'), status), ...post })).rejects.toMatchObject({
        type: 'RedirectRefused',
        retryable: false,
      });
    await expect(ask({ url: sentOn(elsewhere('/end')), ...post, method: 'PUT' })).rejects.toMatchObject({
      type: 'RedirectRefused',
    });
    expect(seen.slice(before).map(({ headers }) => headers['host'])).toEqual(Array(3).fill(`localhost:${port}`));
  });

  it('asks with GET and without the body where a form would', async () => {
    for (const status of [301, 302, 303]) {
      await ask({ url: sentOn(elsewhere('/end'), status), method: 'POST', body: { b: 2 } });
      expect(seen.at(-1)).toMatchObject({ method: 'GET', url: '/end', body: '' });
      expect(seen.at(-1)?.headers).not.toHaveProperty('content-type');
    }
    await ask({ url: sentOn('/end'), method: 'PUT', body: { b: 2 } });
    expect(seen.at(-1)).toMatchObject({ method: 'PUT', body: '{"b":2}' });
  });

  it('refuses a name that leads to a private address, unless the list says so', async () => {
    await expect(ask({ url: at('/') }, { private: false })).rejects.toMatchObject({ type: 'AddressNotAllowed' });
    const literal = { host: '127.0.0.1', private: false };
    await expect(ask({ url: `https://127.0.0.1:${port}/` }, literal)).rejects.toMatchObject({
      type: 'AddressNotAllowed',
    });
  });

  it('tells failures that may pass from those that will not', async () => {
    await expect(ask({ url: at('/broken') })).rejects.toMatchObject({ type: 'UnexpectedStatus', retryable: true });
    await expect(ask({ url: at('/ok'), accept: [404] })).rejects.toMatchObject({ retryable: false });
    await expect(ask({ url: at('/large') })).rejects.toMatchObject({ type: 'TooLarge', retryable: false });
    await expect(ask({ url: at('/silent'), timeoutSeconds: 1 })).rejects.toMatchObject({
      type: 'Timeout',
      retryable: true,
    });
  });
});

describe('address guard', () => {
  it.each(['1.1.1.1', '2606:4700::1111', '172.32.0.1'])('lets %s pass', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'ff02::1',
    'not an address',
  ])('holds %s back', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it('holds back a name with one private address', async () => {
    const error = await new Promise((resolve) => {
      publicLookup('localhost', { all: true }, resolve);
    });
    expect(error).toMatchObject({ message: 'localhost has no address, or one that is not public' });
  });
});
