import { rest } from '../cli/https';
import { currentCode, type DemoPerson } from './demo-codes';
import type { StackFile } from './stack-file';

/** A person at the REST interfaces, signed in with both factors as everybody is. */
export interface RestSession {
  readonly token: string;
  get(path: string): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
}

/** Signs in for real; a code that counted already is waited out. Rejects when the password or the code is refused twice. */
export async function signInAs(stack: StackFile, person: DemoPerson): Promise<RestSession> {
  const {
    AATS_HITL_URL: page = '',
    AATS_PROJECT_MANAGER_URL: plans = '',
    AATS_CA_FILE: caFile = '',
  } = stack.identities.cli;
  const once = async (): Promise<string> => {
    const first = (await rest({
      method: 'POST',
      url: `${page}/v1/sign-in`,
      caFile,
      body: { name: person.name, password: person.password },
    })) as { challenge: string };
    const second = (await rest({
      method: 'POST',
      url: `${page}/v1/sign-in/code`,
      caFile,
      body: { challenge: first.challenge, code: currentCode(person).code },
    })) as { accessToken: string };
    return second.accessToken;
  };
  const token = await once().catch(async (error: unknown) => {
    if (!(error instanceof Error && error.message.includes('used before'))) throw error;
    await new Promise((resolve) => setTimeout(resolve, currentCode(person).secondsLeft * 1000 + 500));
    return once();
  });
  return {
    token,
    get: (path) => rest({ method: 'GET', url: `${plans}${path}`, caFile, token }),
    post: (path, body) => rest({ method: 'POST', url: `${plans}${path}`, caFile, token, body }),
  };
}
