import type { DuckDBConnection } from '@duckdb/node-api';

const EVERY_MS = 50;

/**
 * Ends what a connection runs once a signal aborts, and whatever is begun on it afterwards: an interrupt that comes
 * between two statements ends neither, since DuckDB forgets it with the next one, so it is said again every 50 ms.
 *
 * @returns stops it; to be called before the connection is closed
 * @example
 * const release = interruptedBy(signal, connection);
 * try { await connection.run(sql); } finally { release(); connection.closeSync(); }
 */
export function interruptedBy(signal: AbortSignal | undefined, connection: DuckDBConnection): () => void {
  let again: NodeJS.Timeout | undefined;
  const interrupt = (): void => {
    connection.interrupt();
    again = setInterval(() => connection.interrupt(), EVERY_MS);
  };
  if (signal?.aborted) interrupt();
  else signal?.addEventListener('abort', interrupt, { once: true });
  return () => {
    signal?.removeEventListener('abort', interrupt);
    clearInterval(again);
  };
}
