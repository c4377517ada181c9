import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PerennialError } from '../../contracts/errors.ts';
import {
  EVENT_LIMITS,
  EVENT_MEDIA_TYPES,
  type EventBatch,
  type EventFormat,
} from '../../contracts/events.ts';
import { Database } from '../duckdb/database.ts';
import { ownScratch } from '../scratch.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { sha256OfFile } from '../store/digest.ts';
import { readableRows } from './readable-rows.ts';
import { checkedRowText } from './row-text.ts';

/** Where pushed rows go. */
export interface IntakeOptions {
  store: Pick<ArtifactStore, 'putFile' | 'within'>;
  /** What makes the batch the same one when it is sent again; default: the digest of its rows. */
  batchId?: string | undefined;
  /** Folder of which a part is used while the rows come in; see `PerennialConfig.dataDir`. */
  dataDir: string;
  /** Memory of the database that reads the rows; default `512MB`. */
  memoryLimit?: string;
}

let last: Promise<unknown> = Promise.resolve();

/** Many senders at once must not take the memory of as many databases from the model server. */
function oneAtATime<T>(work: () => Promise<T>): Promise<T> {
  const next = last.then(work, work);
  last = next.catch(() => undefined);
  return next;
}

/**
 * Stores rows that somebody pushes as one immutable artifact, encrypted at rest, all or nothing. The same rows give the
 * same artifact.
 *
 * @param input the bytes as they arrive: JSON Lines, or CSV with a header, in UTF-8; at most {@link EVENT_LIMITS}
 * @throws PerennialError `InputInvalid` with the line where there is one; values are never quoted
 * @returns the batch that a log is told of; of rows that were pushed before, and of which some were erased since, what
 *   is left of them, under the same id
 * @example
 * const batch = await storeRows(process.stdin, 'jsonl', { store, dataDir: config.dataDir });
 */
export async function storeRows(
  input: AsyncIterable<Uint8Array>,
  format: EventFormat,
  { store, dataDir, batchId, memoryLimit = '512MB' }: IntakeOptions,
): Promise<EventBatch> {
  const scratch = join(await ownScratch(dataDir), `intake-${randomUUID()}`);
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    const path = join(scratch, `rows.${format}`);
    await pipeline(
      Readable.from(checkedRowText(input, format)),
      createWriteStream(path, { flags: 'wx', mode: 0o600 }),
    );
    const rowsOf = (file: string): Promise<number> =>
      oneAtATime(async () => {
        const database = await Database.create({ tempDir: join(scratch, 'spill'), memoryLimit, threads: 1 });
        return readableRows(database, file, format).finally(() => database.close());
      });
    const rows = await rowsOf(path);
    if (rows === 0) throw new PerennialError('InputInvalid', 'there are no rows in the batch');
    if (rows > EVENT_LIMITS.rows)
      throw new PerennialError(
        'InputInvalid',
        `the batch has ${rows} rows, at most ${EVENT_LIMITS.rows} are taken; send several batches`,
      );
    const sha256 = await sha256OfFile(path);
    // What a log of events holds of people is not known when they come in.
    const artifact = await store.putFile(path, EVENT_MEDIA_TYPES[format], { encrypt: true });
    // Rows that were pushed before, and of which an erasure took some.
    const erased = artifact.sha256 !== sha256;
    return {
      batchId: batchId ?? sha256,
      artifact,
      rows: erased ? await rowsOf(await store.within(scratch).path(artifact)) : rows,
      format,
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
