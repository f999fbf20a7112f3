import { chmod, chown, copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from './cache';
import { runCommand } from './commands';
import type { TlsFiles } from './server';

// Specification, TLS configuration: RSA, 4096 bits, valid for 365 days.
const keyBits = 4096;
const validDays = 365;

/**
 * Certificates of one stack, from a certificate authority of its own. Keys are made once and in parallel; the
 * authority's key never leaves `<data>/tls/ca`.
 */
export function createCertificates(
  dataDir: string,
  serverUser: { readonly uid: number; readonly gid: number } | undefined,
) {
  const root = join(dataDir, 'tls');
  const made = new Map<string, Promise<TlsFiles>>();
  let authority: Promise<string> | undefined;

  const openssl = (args: readonly string[]): Promise<string> => runCommand('openssl', args, { timeoutSeconds: 180 });
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  const newKey = (path: string): Promise<string> =>
    openssl(['genpkey', '-quiet', '-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${keyBits}`, '-out', path]);

  const ensureAuthority = (): Promise<string> =>
    (authority ??= (async () => {
      const dir = join(root, 'ca');
      await mkdir(root, { recursive: true, mode: 0o755 });
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const [key, cert] = [join(dir, 'ca.key'), join(dir, 'ca.crt')];
      await withLock(join(dir, 'lock'), async () => {
        if (await exists(cert)) return;
        await newKey(`${key}.new`);
        await chmod(`${key}.new`, 0o600);
        await openssl([
          'req',
          '-x509',
          '-new',
          '-sha256',
          '-key',
          `${key}.new`,
          '-days',
          String(validDays),
          '-subj',
          '/O=AATS/CN=AATS local certificate authority',
          '-addext',
          'basicConstraints=critical,CA:TRUE,pathlen:0',
          '-addext',
          'keyUsage=critical,keyCertSign,cRLSign',
          '-out',
          `${cert}.new`,
        ]);
        await rename(`${key}.new`, key);
        await rename(`${cert}.new`, cert);
      });
      // Readable by everyone: it is what everyone must trust.
      await copyFile(cert, join(root, 'ca.crt'));
      await chmod(join(root, 'ca.crt'), 0o644);
      return dir;
    })());

  const issue = async (name: string, uri: string, forServer: boolean): Promise<TlsFiles> => {
    const dir = join(root, name);
    await mkdir(root, { recursive: true, mode: 0o755 });
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const files: TlsFiles = {
      ca: join(root, 'ca.crt'),
      cert: join(dir, 'tls.crt'),
      key: join(dir, 'tls.key'),
      bundle: join(dir, 'bundle.pem'),
    };
    await withLock(join(dir, 'lock'), async () => {
      const authorityDir = await ensureAuthority();
      if (await exists(files.bundle)) return;
      const [key, request, extensions] = [join(dir, 'new.key'), join(dir, 'new.csr'), join(dir, 'new.ext')];
      await newKey(key);
      await openssl(['req', '-new', '-sha256', '-key', key, '-subj', `/O=AATS/CN=${name}`, '-out', request]);
      await writeFile(
        extensions,
        [
          'basicConstraints=critical,CA:FALSE',
          'keyUsage=critical,digitalSignature,keyEncipherment',
          'extendedKeyUsage=serverAuth,clientAuth',
          `subjectAltName=DNS:localhost,IP:127.0.0.1,URI:spiffe://aats/${uri}`,
        ].join('\n'),
      );
      await openssl([
        'x509',
        '-req',
        '-sha256',
        '-in',
        request,
        '-CA',
        join(authorityDir, 'ca.crt'),
        '-CAkey',
        join(authorityDir, 'ca.key'),
        '-days',
        String(validDays),
        '-extfile',
        extensions,
        '-out',
        join(dir, 'new.crt'),
      ]);
      await rename(key, files.key);
      await rename(join(dir, 'new.crt'), files.cert);
      const parts = await Promise.all(
        [files.key, files.cert, join(authorityDir, 'ca.crt')].map((path) => readFile(path, 'utf8')),
      );
      await writeFile(files.bundle, parts.join(''), { mode: 0o600 });
      await Promise.all([request, extensions].map((path) => rm(path, { force: true })));
    });
    await Promise.all([chmod(files.key, 0o600), chmod(files.bundle, 0o600)]);
    if (forServer && serverUser) {
      await Promise.all(
        [dir, files.key, files.cert, files.bundle].map((path) => chown(path, serverUser.uid, serverUser.gid)),
      );
    }
    return files;
  };

  /** Made once; a repeated or interrupted call gives or completes the same certificate. */
  return (name: string, options: { readonly uri: string; readonly forServer?: boolean }): Promise<TlsFiles> => {
    const known = made.get(name);
    if (known) return known;
    const files = issue(name, options.uri, options.forServer === true);
    made.set(name, files);
    return files;
  };
}
