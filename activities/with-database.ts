import { randomUUID } from 'node:crypto';
import { Database } from '../lib/duckdb/database.ts';
import type { ActivityFrame } from './frame.ts';

/**
 * A database for one activity; cancellation interrupts what it runs.
 *
 * @param files where given, it reads these and nothing else: for people's SQL
 */
export async function withDatabase<T>(
  frame: ActivityFrame,
  work: (database: Database, scratchDir: string) => Promise<T>,
  files?: readonly string[],
): Promise<T> {
  const scratchDir = await frame.scratch();
  // Of its own: two engines that are open at once must not spill into one folder.
  const tempDir = `${scratchDir}/spill-${randomUUID()}`;
  const database = await Database.create({
    tempDir,
    memoryLimit: frame.duckdbMemory,
    signal: frame.signal,
    ...(files ? { onlyPaths: [...files, tempDir] } : {}),
  });
  try {
    return await work(database, scratchDir);
  } finally {
    database.close();
  }
}
