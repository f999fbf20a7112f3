import { connect, type ConnectionOptions } from 'node:tls';
import { Server } from '@grpc/grpc-js';
import Koa from 'koa';
import { startHttpsServer } from '../../services/runtime/http';
import { Tls13ServerCredentials, type TlsMaterial } from '../../services/runtime/tls';
import { type Authority, createAuthority } from '../support/authority';

describe('TLS of our servers', () => {
  let authority: Authority;
  let mine: TlsMaterial;
  const ports = { grpc: 0, rest: 0, strict: 0 };
  const closers: (() => unknown)[] = [];
  let credentials: Tls13ServerCredentials;

  const listen = async (own: Tls13ServerCredentials): Promise<number> => {
    const server = new Server();
    closers.push(() => {
      server.forceShutdown();
    });
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', own, (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
  };
  /**
   * The names in the server's certificate, once it has said something: in TLS 1.3 a client learns that its certificate
   * is refused only after its own handshake.
   */
  const greet = (port: number, options: ConnectionOptions): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: 'localhost', ALPNProtocols: ['h2', 'http/1.1'], ...options });
      socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'));
      socket.once('data', () => {
        resolve(socket.getPeerX509Certificate()?.subjectAltName ?? '');
        socket.destroy();
      });
      socket.once('error', reject);
      socket.once('close', () => {
        reject(new Error('closed'));
      });
    });

  beforeAll(async () => {
    authority = createAuthority();
    mine = authority.issue('URI:spiffe://aats/service/mine');
    credentials = new Tls13ServerCredentials(mine, { requireClientCertificate: false });
    ports.grpc = await listen(credentials);
    ports.strict = await listen(new Tls13ServerCredentials(mine, { requireClientCertificate: true }));
    const rest = await startHttpsServer({ tls: mine, port: 0, app: new Koa() });
    ports.rest = rest.port;
    closers.push(() => rest.close(0));
  });
  afterAll(async () => {
    for (const close of closers) await close();
    authority.remove();
  });

  const floorHolds = async (): Promise<void> => {
    for (const port of [ports.grpc, ports.rest]) {
      await expect(greet(port, { ...mine, maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
      await expect(greet(port, { ...mine, ciphers: 'TLS_AES_128_GCM_SHA256' })).rejects.toThrow(/handshake failure/);
      for (const ciphers of ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])
        await expect(greet(port, { ...mine, ciphers })).resolves.toContain('localhost');
    }
  };

  it('is 1.3 with the two cipher suites of the specification', floorHolds);

  it('stays so when the certificate is replaced', async () => {
    const renewed = authority.issue('URI:spiffe://aats/service/renewed');
    credentials.rotate(renewed);
    await floorHolds();
    await expect(greet(ports.grpc, { ca: authority.ca })).resolves.toContain('spiffe://aats/service/renewed');
  });

  it('asks for a certificate of ours where one is required', async () => {
    const { ca } = authority;
    await expect(greet(ports.strict, { ca })).rejects.toThrow();
    const other = createAuthority();
    const foreign = other.issue('URI:spiffe://aats/service/mine');
    await expect(greet(ports.strict, { ...foreign, ca })).rejects.toThrow();
    await expect(greet(ports.strict, mine)).resolves.toContain('localhost');
    other.remove();
  });
});
