import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureSecret } from '../../stack/secrets';

describe('secrets of a stack', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'aats-secrets-'));
  afterAll(() => {
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('are random, fit into a URL and into arguments, and are closed to others', async () => {
    const [one, other] = await Promise.all([ensureSecret(dataDir, 'one'), ensureSecret(dataDir, 'other')]);
    expect(one.value).toMatch(/^[0-9a-f]{48}$/);
    expect(other.value).not.toBe(one.value);
    expect([statSync(one.path).mode & 0o777, statSync(join(dataDir, 'secrets')).mode & 0o777]).toEqual([0o600, 0o700]);
  });

  it('are the same for all who ask at once, and leave nothing else behind', async () => {
    const values = await Promise.all(Array.from({ length: 20 }, () => ensureSecret(dataDir, 'shared')));
    expect(new Set(values.map(({ value }) => value)).size).toBe(1);
    expect(readdirSync(join(dataDir, 'secrets')).filter((name) => name.startsWith('shared'))).toEqual(['shared']);
  });
});
