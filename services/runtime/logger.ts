import { pino, type Logger } from 'pino';

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

/** JSON lines on standard output. */
export const createLogger = (name: string): Logger =>
  pino({
    name,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretPaths.flatMap((path) => [path, `*.${path}`]), censor: '…' },
  });
