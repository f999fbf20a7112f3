import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { withLock } from '../stack/cache';
import { CommandFailed, exitCodes } from './exit-codes';
import { rest } from './https';
import type { Settings } from './settings';

const session = z.object({
  name: z.string(),
  /** Who gave the tokens: nobody else is shown them. */
  signIn: z.string(),
  accessToken: z.string(),
  refreshToken: z.string(),
  expiresAt: z.number(),
});
export type Session = z.infer<typeof session>;
const tokens = z.object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.number() });

/** The first factor; gives what the second one answers. */
export async function beginSignIn(settings: Settings, name: string, password: string): Promise<string> {
  const answer = await rest({
    method: 'POST',
    url: `${settings.signIn}/v1/sign-in`,
    caFile: settings.caFile,
    body: { name, password },
  });
  return z.object({ challenge: z.string() }).parse(answer).challenge;
}

/** The second factor; keeps the tokens in a file that only the user can read. */
export async function completeSignIn(
  settings: Settings,
  name: string,
  challenge: string,
  code: string,
): Promise<Session> {
  const answer = await rest({
    method: 'POST',
    url: `${settings.signIn}/v1/sign-in/code`,
    caFile: settings.caFile,
    body: { challenge, code },
  });
  return keep(settings, name, answer);
}

/** Ends the session here in any case, and at the server; rejects when that one could not be told. */
export async function signOut(settings: Settings): Promise<void> {
  const current = read(settings);
  rmSync(settings.sessionFile, { force: true });
  if (current) {
    await rest({
      method: 'POST',
      url: `${current.signIn}/v1/sign-out`,
      caFile: settings.caFile,
      body: { refreshToken: current.refreshToken },
    });
  }
}

/** The access token, refreshed when it has less than a minute left. */
export async function accessToken(settings: Settings): Promise<string> {
  const current = sessionFor(settings);
  if (isFresh(current)) return current.accessToken;
  // One command at a time: a refresh token that is used twice ends the session for everybody.
  return withLock(`${settings.sessionFile}.lock`, async () => {
    const newest = sessionFor(settings);
    if (isFresh(newest)) return newest.accessToken;
    try {
      const answer = await rest({
        method: 'POST',
        url: `${settings.signIn}/v1/sign-in/refresh`,
        caFile: settings.caFile,
        body: { refreshToken: newest.refreshToken },
      });
      return keep(settings, newest.name, answer).accessToken;
    } catch (error) {
      if (error instanceof CommandFailed && error.failure.exitCode !== exitCodes.notAllowed) throw error;
      throw notSignedIn(`the session of ${newest.name} has ended`);
    }
  });
}

const isFresh = ({ expiresAt }: Session): boolean => expiresAt - Date.now() > 60_000;

function sessionFor(settings: Settings): Session {
  const current = read(settings);
  if (!current) throw notSignedIn('you are not signed in');
  if (current.signIn !== settings.signIn)
    throw notSignedIn(`you are signed in at ${current.signIn}, and not at ${settings.signIn}`);
  return current;
}

const notSignedIn = (title: string): CommandFailed =>
  new CommandFailed({ exitCode: exitCodes.notAllowed, title, lines: [], hint: 'Sign in with: aats login' });

function keep(settings: Settings, name: string, answer: unknown): Session {
  const { accessToken: access, refreshToken, expiresIn } = tokens.parse(answer);
  const value: Session = {
    name,
    signIn: settings.signIn,
    accessToken: access,
    refreshToken,
    expiresAt: Date.now() + expiresIn * 1000,
  };
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
