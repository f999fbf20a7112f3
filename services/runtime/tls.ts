import { readFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { createSecureContext } from 'node:tls';
import { credentials, ServerCredentials, type ChannelCredentials } from '@grpc/grpc-js';

// Specification, Authentication Methods and TLS Configuration.
export const cipherSuites = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const floor = { minVersion: 'TLSv1.3', ciphers: cipherSuites } as const;

export interface TlsMaterial {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export const readTls = (files: {
  readonly AATS_CA_FILE: string;
  readonly AATS_CERT_FILE: string;
  readonly AATS_KEY_FILE: string;
}): TlsMaterial => ({
  ca: readFileSync(files.AATS_CA_FILE),
  cert: readFileSync(files.AATS_CERT_FILE),
  key: readFileSync(files.AATS_KEY_FILE),
});

/**
 * gRPC over TLS 1.3 with the specification's two cipher suites. grpc-js's own credentials accept TLS 1.2 and AES-128,
 * and forget both limits when certificates are replaced, hence this subclass. Without `requireClientCertificate` a
 * caller may come with none; one that does not verify against our authority then counts as none.
 */
export class Tls13ServerCredentials extends ServerCredentials {
  private readonly ca: Buffer;

  constructor(tls: TlsMaterial, options: { readonly requireClientCertificate: boolean }) {
    super({ requestCert: true, rejectUnauthorized: options.requireClientCertificate, ...floor }, { ...tls, ...floor });
    this.ca = tls.ca;
  }

  /** New handshakes get the new certificate; open connections go on. */
  rotate(identity: { readonly cert: Buffer; readonly key: Buffer }): void {
    this.updateSecureContextOptions({ ca: this.ca, ...identity, ...floor });
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Credentials of a client: with certificate and key it is somebody, with the authority alone it brings a token. */
export const clientCredentials = (tls: TlsMaterial | { readonly ca: Buffer }): ChannelCredentials =>
  credentials.createFromSecureContext(createSecureContext({ ...tls, ...floor }));

/** Options of an HTTPS server: TLS 1.3, a client certificate welcome but not needed. */
export const httpsOptions = (tls: TlsMaterial): ServerOptions => ({
  ...tls,
  ...floor,
  requestCert: true,
  rejectUnauthorized: false,
});
