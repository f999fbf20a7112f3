import { request } from 'node:https';
import { readFileSync } from 'node:fs';
import { CommandFailed, exitCodeOf, exitCodes } from './exit-codes';
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

/** One REST call over TLS 1.3; an RFC 9457 answer becomes a `CommandFailed` that says what was wrong. */
export async function rest(call: RestCall): Promise<unknown> {
  const payload = call.body === undefined ? undefined : JSON.stringify(call.body);
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request(
      call.url,
      {
        method: call.method,
        ca: readFileSync(call.caFile),
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
      title: `${new URL(call.url).host} does not answer.`,
      lines: [error instanceof Error ? error.message : String(error)],
      hint: 'Is AATS running? “npm run stack -- status” tells.',
    });
  });
  const parsed: unknown = text === '' ? undefined : JSON.parse(text);
  if (status >= 200 && status < 300) return parsed;
  const problem = (parsed ?? {}) as Problem;
  const type = problem.type?.split(/[:/]/).at(-1);
  throw new CommandFailed({
    exitCode: isFailureType(type)
      ? exitCodeOf[type]
      : status === 401 || status === 403
        ? exitCodes.notAllowed
        : exitCodes.unexpected,
    title: problem.detail ?? problem.title ?? `The answer was ${status}.`,
    lines: (problem.problems ?? []).map(({ pointer, message }) => `${pointer ?? ''}  ${message}`.trim()),
  });
}
