import { readFileSync } from 'node:fs';
import type { Identity, StackFile } from '../../stack/stack-file';

/** The running stack that `AATS_STACK_FILE` names; a test that needs servers fails without one. */
export function stackFile(): StackFile {
  const path = process.env['AATS_STACK_FILE'];
  if (!path) throw new Error('AATS_STACK_FILE is not set: start the stack and point to its run/stack.json');
  return JSON.parse(readFileSync(path, 'utf8')) as StackFile;
}

/** Environment variables of one identity, as its process gets them. */
export function identityEnvironment(identity: Identity): Readonly<Record<string, string>> {
  return stackFile().identities[identity];
}
