import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { EventBatch } from '../../contracts/events.ts';
import type { EventsSource } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { type AcquiredSource, maxBytesOf } from '../sources/source.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { csvAsText } from './readable-rows.ts';

/** The identity of a log's content, without reading any of it. */
export const eventsIdentity = (batches: readonly EventBatch[]): string =>
  createHash('sha256')
    .update(batches.map(({ artifact }) => artifact.sha256).join('\n'))
    .digest('hex');

/**
 * Puts the batches of an event log together as one table, in the order of the log. Types are found over all of them;
 * a column that a batch lacks is missing in its rows.
 *
 * @param name of the source, for messages
 * @param store one that decrypts: `ArtifactStore.within`
 * @param scratchDir where the table goes
 * @throws PerennialError `SourceNotFound` where there is no batch; `SourceUnreadable` where they have more bytes than
 *   the source may; `ArtifactMissing`, `ArtifactCorrupt`, `ArtifactErased`
 */
export async function acquireEvents(
  database: Database,
  name: string,
  source: EventsSource,
  batches: readonly EventBatch[],
  store: Pick<ArtifactStore, 'path'>,
  scratchDir: string,
): Promise<AcquiredSource> {
  const { events: log, rowNumber } = source;
  const [first] = batches;
  if (!first)
    throw new PerennialError(
      'SourceNotFound',
      `source ${name}: the event log ${log} holds no rows; push some with \`perennial ingest ${log} --file ROWS\``,
    );
  const bytes = batches.reduce((sum, { artifact }) => sum + artifact.bytes, 0);
  if (bytes > maxBytesOf(source))
    throw new PerennialError(
      'SourceUnreadable',
      `source ${name}: the event log ${log} holds ${bytes} bytes, at most ${maxBytesOf(source)} are read; set maxBytes`,
    );
  await mkdir(scratchDir, { recursive: true, mode: 0o700 });
  const whole = join(scratchDir, `events.${first.format}`);
  const table = join(scratchDir, 'events.parquet');
  const stored: string[] = [];
  for (const { artifact } of batches) stored.push(await store.path(artifact));
  const where = `source ${name}`;
  if (first.format === 'csv')
    await database.run(
      `COPY (SELECT * FROM ${csvAsText(stored)}) TO ${quoteLiteral(whole)} (FORMAT csv, HEADER)`,
      'SourceUnreadable',
      where,
    );
  else await pipeline(Readable.from(contents(stored)), createWriteStream(whole, { mode: 0o600 }));
  const number = rowNumber === undefined ? '' : `, row_number() OVER () AS ${quoteIdent(rowNumber)}`;
  const relation =
    first.format === 'csv'
      ? `read_csv(${quoteLiteral(whole)}, header = true, delim = ',', quote = '"', escape = '"', sample_size = -1)`
      : `read_json(${quoteLiteral(whole)}, format = 'newline_delimited', sample_size = -1)`;
  await database.copyToParquet(`SELECT *${number} FROM ${relation}`, table, 'SourceUnreadable', where);
  await rm(whole);
  return {
    kind: 'events',
    files: [table],
    format: 'parquet',
    sha256: eventsIdentity(batches),
    identity: eventsIdentity(batches),
    origin: `event log ${log}, ${batches.length} batches`,
    bytes,
    partitioned: false,
    finished: true,
  };
}

/** Each stored batch of JSON Lines ends with a line break. */
async function* contents(files: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const file of files) yield* createReadStream(file);
}
