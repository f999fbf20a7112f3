import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsMaterial } from '../../services/runtime/tls';

/** A certificate authority of its own for one test file; its keys are elliptic, so that it is there at once. */
export function createAuthority() {
  const folder = mkdtempSync(join(tmpdir(), 'aats-authority-'));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.crt'), '-subj', '/CN=test authority');
  let count = 0;
  return {
    ca: readFileSync(file('ca.crt')),
    /** A certificate for localhost and whatever names are given besides, such as `URI:spiffe://aats/agent/a`. */
    issue(...names: readonly string[]): TlsMaterial {
      const name = `leaf-${++count}`;
      openssl('req', ...key, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`), '-subj', '/CN=leaf');
      writeFileSync(file(`${name}.ext`), `subjectAltName=${['DNS:localhost', 'IP:127.0.0.1', ...names].join(',')}`);
      const [csr, crt, ext] = [file(`${name}.csr`), file(`${name}.crt`), file(`${name}.ext`)];
      const ca = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '1'];
      openssl('x509', '-req', '-in', csr, '-out', crt, '-extfile', ext, ...ca);
      return { ca: readFileSync(file('ca.crt')), cert: readFileSync(crt), key: readFileSync(file(`${name}.key`)) };
    },
    remove(): void {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
export type Authority = ReturnType<typeof createAuthority>;
