import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Database } from '../../lib/duckdb/database.ts';

/** Hours of work. */
const ENDLESS = 'SELECT count(*) AS n FROM range(100000000) a(i), range(100000000) b(j) WHERE hash(i, j) = 7';

let tempDir: string;
beforeAll(async () => {
  tempDir = await mkdtemp(join(tmpdir(), 'duckdb-interruption-'));
});
afterAll(() => rm(tempDir, { recursive: true, force: true }));

it.each(['while a statement runs', 'between two statements'])('an abort %s ends the work', async (when) => {
  const abort = new AbortController();
  const database = await Database.create({ tempDir, signal: abort.signal });
  try {
    await database.rows('SELECT 42');
    if (when === 'between two statements') abort.abort();
    else setTimeout(() => abort.abort(), 200);
    await expect(database.rows(ENDLESS)).rejects.toThrow(/interrupt/i);
    await expect(database.rows(ENDLESS)).rejects.toThrow(/interrupt/i);
  } finally {
    database.close();
  }
});

it('an abort before there is a database is told as what it is', async () => {
  const abort = new AbortController();
  const created = Database.create({ tempDir, onlyPaths: [tempDir], signal: abort.signal });
  abort.abort(new Error('cancelled'));
  await expect(created).rejects.toThrow('cancelled');
});
