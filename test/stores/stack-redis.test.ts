import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { runningPid, startServerProcess, stopServerProcess } from '../../stack/processes';
import { aclFile } from '../../stack/redis';

const dir = mkdtempSync(join(tmpdir(), 'aats-redis-'));
for (const folder of ['run', 'logs']) mkdirSync(join(dir, folder));
const socket = join(dir, 'redis.sock');
writeFileSync(
  join(dir, 'users.acl'),
  aclFile(() => 'a-password'),
);
writeFileSync(
  join(dir, 'redis.conf'),
  ['port 0', `unixsocket ${socket}`, `dir ${dir}`, `aclfile ${join(dir, 'users.acl')}`, 'appendonly yes'].join('\n'),
);

const begin = (): number => startServerProcess(dir, 'redis', '/usr/bin/redis-server', [join(dir, 'redis.conf')], {});
const end = (): Promise<unknown> => stopServerProcess(dir, 'redis', 'SIGTERM', 10);
async function as<T>(username: string | undefined, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ path: socket, ...(username && { username, password: 'a-password' }) });
  redis.on('error', () => undefined);
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
afterAll(async () => {
  await end();
  rmSync(dir, { recursive: true, force: true });
});

describe('the access rules of Redis', () => {
  it('keep what a script wrote in more than one command when the server starts anew', async () => {
    begin();
    await as('hitl', (redis) =>
      redis.eval(
        "redis.call('SET', KEYS[1], ARGV[1]) redis.call('EXPIRE', KEYS[1], 600)",
        1,
        'session:of-two-commands',
        'kept',
      ),
    );
    await end();
    expect(runningPid(dir, 'redis')).toBeUndefined();
    begin();
    await as('hitl', async (redis) => {
      expect(await redis.get('session:of-two-commands')).toBe('kept');
      expect(await redis.ttl('session:of-two-commands')).toBeGreaterThan(500);
    });
  });

  it('let nobody in as the default user', async () => {
    const cli = promisify(execFile);
    for (const more of [[], ['--user', 'default', '--pass', ''], ['--user', 'default', '--pass', 'a-password']])
      expect((await cli('redis-cli', ['-s', socket, '--no-auth-warning', ...more, 'get', 'session:x'])).stdout).toMatch(
        /NOAUTH/,
      );
  });

  it('let an identity reach its own keys only', async () => {
    await as('hitl', (redis) => expect(redis.set('presence:x', '1')).rejects.toThrow('NOPERM'));
  });
});
