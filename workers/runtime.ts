import { destination, type Logger, pino } from 'pino';

/** The one logger of a process: JSON lines on standard error; standard output carries the ready line. */
export const logger: Logger = pino(
  {
    level: process.env.PERENNIAL_LOG_LEVEL ?? 'info',
    base: null,
    serializers: { error: pino.stdSerializers.err },
  },
  destination(2),
);

/** Aborted by SIGINT or SIGTERM; a second signal ends the process at once. */
export function shutdownSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort();
    });
  return controller.signal;
}

/** The line by which a supervisor knows that this process does its work. */
export const announceReady = (facts: Record<string, string> = {}): void => {
  process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`);
};
