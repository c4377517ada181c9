import { DefaultLogger, Runtime } from '@temporalio/worker';
import { logger } from './runtime.ts';

let installed = false;

/** Sends the Temporal SDK's own log lines to {@link logger}; the host decides about signals. */
export function installRuntime(): void {
  if (installed) return;
  installed = true;
  const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      logger[levels[level]]({ ...meta }, message);
    }),
  });
}
