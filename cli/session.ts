import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { CommandFailed, exitCodes } from './exit-codes';
import { rest } from './https';
import type { Settings } from './settings';

const session = z.object({
  name: z.string(),
  accessToken: z.string(),
  refreshToken: z.string(),
  expiresAt: z.number(),
});
export type Session = z.infer<typeof session>;
const tokens = z.object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.number() });

/** Signs in with both factors and keeps the tokens in a file that only the user can read. */
export async function signIn(
  settings: Settings,
  name: string,
  password: string,
  code: () => Promise<string>,
): Promise<Session> {
  const first = z.object({ challenge: z.string() }).parse(
    await rest({
      method: 'POST',
      url: `${settings.signIn}/v1/sign-in`,
      caFile: settings.caFile,
      body: { name, password },
    }),
  );
  const answer = await rest({
    method: 'POST',
    url: `${settings.signIn}/v1/sign-in/code`,
    caFile: settings.caFile,
    body: { challenge: first.challenge, code: await code() },
  });
  return keep(settings, name, answer);
}

/** Ends the session at the server and forgets it here; forgetting succeeds also when the server is away. */
export async function signOut(settings: Settings): Promise<void> {
  const current = read(settings);
  rmSync(settings.sessionFile, { force: true });
  if (current) {
    await rest({
      method: 'POST',
      url: `${settings.signIn}/v1/sign-out`,
      caFile: settings.caFile,
      body: { refreshToken: current.refreshToken },
    });
  }
}

/** The access token, refreshed when it has less than a minute left. */
export async function accessToken(settings: Settings): Promise<string> {
  const current = read(settings);
  if (!current) throw notSignedIn('You are not signed in.');
  if (current.expiresAt - Date.now() > 60_000) return current.accessToken;
  try {
    const answer = await rest({
      method: 'POST',
      url: `${settings.signIn}/v1/sign-in/refresh`,
      caFile: settings.caFile,
      body: { refreshToken: current.refreshToken },
    });
    return keep(settings, current.name, answer).accessToken;
  } catch (error) {
    if (error instanceof CommandFailed && error.failure.exitCode !== exitCodes.notAllowed) throw error;
    throw notSignedIn('Your session has ended.');
  }
}

const notSignedIn = (title: string): CommandFailed =>
  new CommandFailed({ exitCode: exitCodes.notAllowed, title, lines: [], hint: 'Sign in with: aats login' });

function keep(settings: Settings, name: string, answer: unknown): Session {
  const { accessToken: access, refreshToken, expiresIn } = tokens.parse(answer);
  const value: Session = { name, accessToken: access, refreshToken, expiresAt: Date.now() + expiresIn * 1000 };
  mkdirSync(dirname(settings.sessionFile), { recursive: true, mode: 0o700 });
  // Written aside and renamed: a crash leaves the old session or the new one, never half of one.
  const aside = `${settings.sessionFile}.${process.pid}`;
  writeFileSync(aside, JSON.stringify(value), { mode: 0o600 });
  chmodSync(aside, 0o600);
  renameSync(aside, settings.sessionFile);
  return value;
}

function read(settings: Settings): Session | undefined {
  try {
    const parsed = session.safeParse(JSON.parse(readFileSync(settings.sessionFile, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
