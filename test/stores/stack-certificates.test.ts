import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificates } from '../../stack/certificates';

// RSA keys of 4096 bits take seconds each, more on a busy machine.
jest.setTimeout(180_000);

describe('certificates of a stack', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'aats-certificates-'));
  const agent = { uri: 'agent/local' };
  const mode = (path: string): number => statSync(path).mode & 0o777;
  afterAll(() => {
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('are RSA 4096 for 365 days, from the stack’s own authority, for both sides of a connection', async () => {
    const files = await createCertificates(dataDir, undefined)('agent', agent);
    const certificate = new X509Certificate(readFileSync(files.cert));
    const authority = new X509Certificate(readFileSync(files.ca));
    const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000;
    expect({
      signed: certificate.verify(authority.publicKey),
      authority: [authority.ca, certificate.ca],
      key: [certificate.publicKey.asymmetricKeyType, certificate.publicKey.asymmetricKeyDetails?.modulusLength],
      days,
      names: certificate.subjectAltName,
      // Extended key usage: server and client authentication.
      purposes: certificate.keyUsage,
    }).toEqual({
      signed: true,
      authority: [true, false],
      key: ['rsa', 4096],
      days: 365,
      names: 'DNS:localhost, IP Address:127.0.0.1, URI:spiffe://aats/agent/local',
      purposes: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    });
  });

  it('keep their keys from everybody else', async () => {
    const files = await createCertificates(dataDir, undefined)('agent', agent);
    expect([mode(files.key), mode(files.bundle), mode(join(dataDir, 'tls', 'ca', 'ca.key'))]).toEqual([
      0o600, 0o600, 0o600,
    ]);
    expect(mode(files.ca)).toBe(0o644);
  });

  it('are made anew when their making was interrupted, and otherwise stay', async () => {
    const before = await createCertificates(dataDir, undefined)('agent', agent);
    const serial = (): string => new X509Certificate(readFileSync(before.cert)).serialNumber;
    const first = serial();
    await createCertificates(dataDir, undefined)('agent', agent);
    expect(serial()).toBe(first);

    rmSync(before.bundle); // written last: without it the rest may be half made
    const [one, other] = await Promise.all([
      createCertificates(dataDir, undefined)('agent', agent),
      createCertificates(dataDir, undefined)('agent', agent),
    ]);
    expect(one).toEqual(other);
    expect(serial()).not.toBe(first);
    expect(createPublicKey(readFileSync(one.key)).export({ type: 'spki', format: 'pem' })).toBe(
      new X509Certificate(readFileSync(one.cert)).publicKey.export({ type: 'spki', format: 'pem' }),
    );
  });
});
