import { type DuckDBConnection, type DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api';
import { interruptedBy } from './interruption.ts';
import { DEFAULT_MEMORY_LIMIT } from './memory.ts';

/**
 * The result of a query over files, chunk after chunk, in the order of their rows; only some chunks are held in memory.
 * In a database of its own, whose zone is UTC: a row's place is a hash of its text, which for a moment with a zone
 * depends on the session's zone.
 *
 * @param queryOf gives the query; it may ask the connection first
 * @param signal aborting interrupts the query
 * @throws the engine's own errors, which may quote values
 */
export async function* orderedChunks(
  queryOf: (connection: DuckDBConnection) => string | Promise<string>,
  signal?: AbortSignal,
): AsyncGenerator<DuckDBDataChunk> {
  // One thread: DuckDB 1.5 streams a wide result of several row groups out of order when it reads in parallel.
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: DEFAULT_MEMORY_LIMIT,
    threads: '1',
  });
  const connection = await instance.connect();
  const release = interruptedBy(signal, connection);
  try {
    await connection.run("SET TimeZone = 'UTC'");
    // A filter would keep a chunk of few rows back, and give it out after the next one.
    await connection.run('SET enable_caching_operators = false');
    for await (const chunk of await connection.stream(await queryOf(connection))) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } finally {
    release();
    connection.closeSync();
    instance.closeSync();
  }
}
