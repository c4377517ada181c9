import { Database } from '../lib/duckdb/database.ts';
import type { ActivityFrame } from './frame.ts';

/** A database for one activity; cancellation interrupts what it runs. */
export async function withDatabase<T>(
  frame: ActivityFrame,
  work: (database: Database, scratchDir: string) => Promise<T>,
): Promise<T> {
  const scratchDir = await frame.scratch();
  const database = await Database.create({
    tempDir: `${scratchDir}/spill`,
    memoryLimit: frame.duckdbMemory,
  });
  const stop = (): void => database.interrupt();
  frame.signal.addEventListener('abort', stop);
  try {
    return await work(database, scratchDir);
  } finally {
    frame.signal.removeEventListener('abort', stop);
    database.close();
  }
}
