import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { EventBatch } from '../../contracts/events.ts';
import type { EventsSource } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { type AcquiredSource, maxBytesOf } from '../sources/source.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { eventTable } from './event-table.ts';

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
 * @throws PerennialError `SourceNotFound` where there is no row; `SourceUnreadable` where they have more bytes than
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
  const table = await eventTable(database, batches, store, {
    rowNumber,
    folder: scratchDir,
    what: `source ${name}`,
  });
  if (table === undefined)
    throw new PerennialError(
      'SourceNotFound',
      `source ${name}: all rows of the event log ${log} were about people who were erased; push others`,
    );
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
