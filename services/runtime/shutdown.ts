import { createLogger, type Logger } from './logger';

export interface Lifecycle {
  readonly logger: Logger;
  /** What ends with the process, the last added first. */
  onStop(name: string, close: () => Promise<unknown>): void;
}

const forceAfterMs = 20_000;

/**
 * Runs a process: starts it, and on SIGTERM or SIGINT closes what it opened in reverse order. Exits 0 after an orderly
 * end, 1 when the start failed (a sentence in the log) and 2 when the close had to be cut off.
 */
export function runProcess(name: string, start: (lifecycle: Lifecycle) => Promise<void>): void {
  const logger = createLogger(name);
  const closers: { readonly name: string; readonly close: () => Promise<unknown> }[] = [];
  let stopping = false;
  const stop = async (signal: string, code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => {
      logger.error('the end took too long');
      process.exit(2);
    }, forceAfterMs).unref();
    logger.info({ signal }, 'stopping');
    for (const { name: what, close } of closers.reverse()) {
      await close().catch((error: unknown) => {
        logger.warn({ err: error, what }, 'could not be closed');
      });
    }
    process.exit(code);
  };
  process.on('SIGTERM', () => void stop('SIGTERM', 0));
  process.on('SIGINT', () => void stop('SIGINT', 0));
  process.on('unhandledRejection', (error) => {
    logger.error({ err: error }, 'unhandled rejection');
  });
  start({
    logger,
    onStop: (what, close) => {
      closers.push({ name: what, close });
    },
  }).then(
    () => {
      logger.info('running');
    },
    (error: unknown) => {
      logger.fatal({ err: error }, error instanceof Error ? error.message : 'could not start');
      void stop('start failed', 1);
    },
  );
}
