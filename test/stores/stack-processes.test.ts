import { createServer, type AddressInfo } from 'node:net';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedArtefact, withLock } from '../../stack/cache';
import { holderSentence, portHolders } from '../../stack/port-holders';
import { runningPid, startServerProcess, stopServerProcess } from '../../stack/processes';
import { startTime } from '../../stack/supervisor';

const dataDir = mkdtempSync(join(tmpdir(), 'aats-processes-'));
mkdirSync(join(dataDir, 'run'));
mkdirSync(join(dataDir, 'logs'));
afterAll(() => {
  rmSync(dataDir, { recursive: true, force: true });
});
const deadHolder = '999999999 1'; // above the kernel's highest pid

describe('a taken port', () => {
  it('is reported with the process that holds it, and a free one is not', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        resolve();
      });
    });
    const { port } = server.address() as AddressInfo;
    const [holder] = portHolders([port]);
    expect(holder).toMatchObject({ port, pid: process.pid });
    expect(holder && holderSentence(holder)).toMatch(new RegExp(`^port ${port} is held by process ${process.pid} \\(`));
    await new Promise((resolve) => server.close(resolve));
    expect(portHolders([port])).toEqual([]);
  });
});

describe('a server process', () => {
  it('runs until it is stopped, and stopping it again is nothing', async () => {
    const pid = startServerProcess(dataDir, 'sleeper', '/bin/sleep', ['600'], {});
    expect(runningPid(dataDir, 'sleeper')).toBe(pid);
    await stopServerProcess(dataDir, 'sleeper', 'SIGTERM', 10);
    await stopServerProcess(dataDir, 'sleeper', 'SIGTERM', 10);
    expect(runningPid(dataDir, 'sleeper')).toBeUndefined();
  });

  it('is ended hard when it does not listen', async () => {
    const pid = startServerProcess(dataDir, 'deaf', '/bin/sh', ['-c', "trap '' TERM; while :; do sleep 1; done"], {});
    await stopServerProcess(dataDir, 'deaf', 'SIGTERM', 1);
    expect([runningPid(dataDir, 'deaf'), existsSync(`/proc/${pid}/exe`)]).toEqual([undefined, false]);
  });

  it('is not taken for another one that got its pid later', async () => {
    writeFileSync(join(dataDir, 'run', 'recycled.pid'), `${process.pid} 1`); // ours, with another start time
    expect(runningPid(dataDir, 'recycled')).toBeUndefined();
    await stopServerProcess(dataDir, 'recycled', 'SIGKILL', 0);
    expect(existsSync(join(dataDir, 'run', 'recycled.pid'))).toBe(false);
  });
});

describe('what a killed run left', () => {
  it('blocks nobody: its lock is taken over, and the next ones take turns', async () => {
    const lock = join(dataDir, 'stale.lock');
    writeFileSync(lock, deadHolder);
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside -= 1;
    };
    await withLock(lock, work);
    await Promise.all([withLock(lock, work), withLock(lock, work)]);
    expect([most, existsSync(lock)]).toEqual([1, false]);
  });

  it('is not a lock of a process that lives, which is waited for or named', async () => {
    const lock = join(dataDir, 'live.lock');
    writeFileSync(lock, `${process.pid} ${startTime(process.pid) ?? ''}`);
    let entered = false;
    const waiting = withLock(lock, async () => Promise.resolve((entered = true)));
    await new Promise(setImmediate);
    expect(entered).toBe(false);
    const refusal = (holder: number): Error => new Error(`held by ${holder}`);
    await expect(withLock(lock, () => Promise.resolve(), refusal)).rejects.toThrow(`held by ${process.pid}`);
    rmSync(lock);
    await waiting;
    expect(entered).toBe(true);
  });

  it('is half a cache folder, which is made again, once for all who ask', async () => {
    const half = join(dataDir, 'cache', 'thing', '1');
    mkdirSync(half, { recursive: true });
    writeFileSync(join(half, 'half'), '');
    let builds = 0;
    const build = async (dir: string): Promise<void> => {
      builds += 1;
      writeFileSync(join(dir, 'whole'), '');
      return Promise.resolve();
    };
    const made = await Promise.all([1, 2].map(() => cachedArtefact(join(dataDir, 'cache'), 'thing', '1', build)));
    expect(made).toEqual([half, half]);
    expect([builds, existsSync(join(half, 'half')), existsSync(join(half, 'whole'))]).toEqual([1, false, true]);
  });
});
