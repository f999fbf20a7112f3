import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { pino, type DestinationStream, type Logger } from 'pino';
import { traceIdOf } from '../../activities/buses/cloud-event';

export type { Logger };

// Whoever logs an object by mistake still writes no credential.
const secretPaths = [
  'password',
  'token',
  'accessToken',
  'refreshToken',
  'authorization',
  'cookie',
  'code',
  'secret',
  'key',
];

interface CallNotes {
  traceId?: string;
  planId?: string;
  caller?: string;
}
const notes = new AsyncLocalStorage<CallNotes>();

/** Whatever is logged while the call is answered carries its trace: the caller's own (W3C), or one of this call. */
export const inCall = <T>(traceparent: string | undefined, work: () => T): T => {
  const [, traceId] = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/.exec(traceparent ?? '') ?? [];
  return notes.run(traceId === undefined ? {} : { traceId }, work);
};
/** Says more about the call under way, for its lines. */
export const note = (fields: CallNotes): void => void Object.assign(notes.getStore() ?? {}, fields);

/** The lines of a call about a plan say so. */
export function notePlan(request: object): void {
  const { planId, approvalId } = request as { readonly planId?: unknown; readonly approvalId?: unknown };
  const about = typeof planId === 'string' ? planId : typeof approvalId === 'string' ? approvalId.split('/')[0] : '';
  if (about !== undefined && about !== '') note({ planId: about.slice(0, 100) });
}

/** JSON lines on standard output. A line about a plan has the trace of the plan's messages, unless its caller brought one. */
export const createLogger = (name: string, destination?: DestinationStream): Logger =>
  pino(
    {
      name,
      base: { name },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretPaths.flatMap((path) => [path, `*.${path}`]), censor: '…' },
      mixin: () => ({ ...notes.getStore() }),
      formatters: {
        log: ({ traceId, planId, ...rest }) => {
          const known = traceId ?? (typeof planId === 'string' ? traceIdOf(planId) : ownTrace());
          return { ...(known !== undefined && { traceId: known }), ...(planId !== undefined && { planId }), ...rest };
        },
      },
    },
    destination ?? pino.destination(1),
  );

/** The same for all lines of a call that neither brought a trace nor is about a plan. */
function ownTrace(): string | undefined {
  const known = notes.getStore();
  return known && (known.traceId ??= randomBytes(16).toString('hex'));
}
