import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyWorkFolder } from '../../agents/sdk/work-folder';

describe('emptyWorkFolder()', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'aats-work-'));
  afterAll(() => {
    rmSync(dataDir, { recursive: true });
  });

  it('lets programs of another user through to theirs, also where the folders were closed before', async () => {
    const left = join(dataDir, 'work', 'a1', 'p1_t1_1');
    mkdirSync(left, { recursive: true, mode: 0o700 });
    writeFileSync(join(left, 'file'), '');
    const folder = await emptyWorkFolder(dataDir, 'a1');
    expect(existsSync(left)).toBe(false);
    for (const path of [join(dataDir, 'work'), folder]) expect(statSync(path).mode & 0o777).toBe(0o711);
  });
});
