import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EventBatch, EventFormat } from '../../contracts/events.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { NO_COMMENTS } from '../sources/read-query.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { csvAsText } from './readable-rows.ts';

/** How {@link eventTable} writes. */
export interface EventTableOptions {
  /** A column with the number of the row in the log, from 1. */
  rowNumber?: string | undefined;
  /** Where the table and what is needed on the way go; it exists. */
  folder: string;
  /** What is read, for messages. */
  what: string;
}

/**
 * Batches of one format as one Parquet table, in their order. Types are found over all of them; a column that a batch
 * lacks is missing in its rows.
 *
 * @param batches as `EventManifests.batches` gives them; those of whom an erasure left nothing add nothing
 * @param store one that decrypts: `ArtifactStore.within`
 * @returns the path of the table; `undefined` where there is no row
 * @throws PerennialError `SourceUnreadable`, `ArtifactMissing`, `ArtifactCorrupt`
 */
export async function eventTable(
  database: Database,
  batches: readonly EventBatch[],
  store: Pick<ArtifactStore, 'path'>,
  { rowNumber, folder, what }: EventTableOptions,
): Promise<string | undefined> {
  const filled = batches.filter(({ artifact }) => artifact.bytes > 0);
  const [first] = filled;
  if (!first) return undefined;
  const stored: string[] = [];
  for (const { artifact } of filled) stored.push(await store.path(artifact));
  const whole = join(folder, `events.${first.format}`);
  const table = join(folder, 'events.parquet');
  if (first.format === 'csv')
    await database.run(
      `COPY (SELECT * FROM ${csvAsText(stored)}) TO ${quoteLiteral(whole)} (FORMAT csv, HEADER)`,
      'SourceUnreadable',
      what,
    );
  else await pipeline(Readable.from(contents(stored)), createWriteStream(whole, { mode: 0o600 }));
  const number = rowNumber === undefined ? '' : `, row_number() OVER () AS ${quoteIdent(rowNumber)}`;
  await database.copyToParquet(
    `SELECT *${number} FROM ${relation(first.format, whole)}`,
    table,
    'SourceUnreadable',
    what,
  );
  await rm(whole);
  return table;
}

const relation = (format: EventFormat, whole: string): string =>
  format === 'csv'
    ? `read_csv(${quoteLiteral(whole)}, header = true, delim = ',', quote = '"', escape = '"', sample_size = -1, ${NO_COMMENTS})`
    : `read_json(${quoteLiteral(whole)}, format = 'newline_delimited', sample_size = -1)`;

/** Each stored batch of JSON Lines ends with a line break. */
async function* contents(files: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const file of files) yield* createReadStream(file);
}
