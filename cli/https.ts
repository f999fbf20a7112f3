import { request } from 'node:https';
import { readFileSync } from 'node:fs';
import { CommandFailed, exitCodeOf, exitCodes } from './exit-codes';
import { doesItRun, lineOf } from './failure-report';
import { unreadable } from './settings';
import { isFailureType } from '../workflows/contracts/failures';

export interface RestCall {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly caFile: string;
  readonly token?: string;
  readonly body?: unknown;
}

interface Problem {
  readonly type?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly problems?: readonly { readonly pointer?: string; readonly message: string }[];
}

/** Who vouches for the services. */
export function readAuthority(caFile: string): Buffer {
  try {
    return readFileSync(caFile);
  } catch (error) {
    throw unreadable('the certificate of the authority', caFile, error);
  }
}

/** One REST call over TLS 1.3; an RFC 9457 answer becomes a `CommandFailed` that says what was wrong. */
export async function rest(call: RestCall): Promise<unknown> {
  const ca = readAuthority(call.caFile);
  const payload = call.body === undefined ? undefined : JSON.stringify(call.body);
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request(
      call.url,
      {
        method: call.method,
        ca,
        minVersion: 'TLSv1.3',
        timeout: 30_000,
        headers: {
          accept: 'application/json',
          ...(payload !== undefined && {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(payload),
          }),
          ...(call.token !== undefined && { authorization: `Bearer ${call.token}` }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
        });
        response.on('error', reject);
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 30 s')));
    outgoing.on('error', reject);
    outgoing.end(payload);
  }).catch((error: unknown) => {
    throw new CommandFailed({
      exitCode: exitCodes.unavailable,
      title: `${new URL(call.url).host} does not answer`,
      lines: [{ message: error instanceof Error ? error.message || error.name : String(error) }],
      hint: doesItRun,
    });
  });
  const parsed = parse(text, call.url);
  if (status >= 200 && status < 300) return parsed;
  const problem = (parsed ?? {}) as Problem;
  const type = problem.type?.split(/[:/]/).at(-1);
  throw new CommandFailed({
    exitCode: isFailureType(type)
      ? exitCodeOf[type]
      : status === 401 || status === 403
        ? exitCodes.notAllowed
        : exitCodes.unexpected,
    title: problem.detail ?? problem.title ?? `the answer was ${status}`,
    lines: (problem.problems ?? []).map(lineOf),
  });
}

function parse(text: string, url: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    throw new CommandFailed({
      exitCode: exitCodes.unavailable,
      title: `${new URL(url).host} answers, but not as AATS does`,
      lines: [],
      hint: doesItRun,
    });
  }
}
