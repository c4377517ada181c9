import { PerennialError } from '../../contracts/errors.ts';
import { type Database, refused } from '../duckdb/database.ts';
import { orderedChunks } from '../duckdb/ordered-chunks.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { copyNumbers } from '../duckdb/vectors.ts';
import { tableSize } from '../features/table-size.ts';
import { createNpy, NpyRows } from '../npy-file.ts';

/** The rows of a part, and how fast they age. */
export interface AgedRows {
  parquetPath: string;
  /** The column that says when a row is of. */
  timestamp: string;
  halfLifeMs: number;
  /** Aborting stops the reading. */
  signal?: AbortSignal | undefined;
}

/** Rows that are written at a time. */
const BATCH_ROWS = 65_536;

/**
 * Writes how much each row counts by its age as float32 `[n]`, in row order: `0.5^((latest − t) / halfLife)`, where
 * `latest` is the latest moment of these rows. The latest row counts 1, one that is a half-life older counts a half.
 * Rows that a trainer is judged on have a file of their own with a `latest` of their own: only what they count against
 * each other matters there.
 *
 * @param path of the `.npy` file, which is created
 * @throws PerennialError `ColumnInvalid` where a row has no moment; `SourceUnreadable`
 * @example
 * await writeAgeWeights(database, { parquetPath, timestamp: 'called_on', halfLifeMs: durationMs('30d') }, 'weights.npy');
 */
export async function writeAgeWeights(database: Database, source: AgedRows, path: string): Promise<void> {
  const { parquetPath, timestamp, halfLifeMs, signal } = source;
  const { rows } = await tableSize(parquetPath);
  const what = `columns.timestamp ${timestamp}`;
  const relation = `read_parquet(${quoteLiteral(parquetPath)})`;
  const moment = `CAST(${quoteIdent(timestamp)} AS TIMESTAMPTZ)`;
  const latest = await latestOf(database, relation, { moment, rows, what });
  await createNpy(path, 'float32', [rows]);
  const file = await NpyRows.open(path);
  const ages = new Float64Array(BATCH_ROWS);
  let done = 0;
  try {
    // Microseconds that were subtracted as whole numbers: of today's they are no exact doubles.
    const query = `SELECT CAST(${latest} - epoch_us(${moment}) AS DOUBLE) FROM ${relation}`;
    for await (const chunk of orderedChunks(() => query, signal))
      for (let start = 0; start < chunk.rowCount; ) {
        const count = Math.min(chunk.rowCount - start, BATCH_ROWS);
        copyNumbers(chunk, 0, start, count, ages, 0);
        await file.append(
          Float32Array.from(ages.subarray(0, count), (age) => 2 ** (-age / (1_000 * halfLifeMs))),
        );
        start += count;
        done += count;
      }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof PerennialError) throw error;
    refused('ColumnInvalid', what)(error);
  } finally {
    await file.close();
  }
  if (done !== rows)
    throw new PerennialError('StageFailed', `Of ${rows} moments of the table ${done} were read.`, true);
}

/** The latest moment in microseconds since 1970, as text: of far years they are no exact numbers in JavaScript. */
async function latestOf(
  database: Database,
  relation: string,
  { moment, rows, what }: { moment: string; rows: number; what: string },
): Promise<string> {
  const { known, latest } = await database.row(
    `SELECT count(*) FILTER (WHERE isfinite(${moment})) AS known,
       CAST(max(epoch_us(${moment})) FILTER (WHERE isfinite(${moment})) AS VARCHAR) AS latest FROM ${relation}`,
    'ColumnInvalid',
    what,
  );
  if (Number(known) === rows) return String(latest ?? 0);
  throw new PerennialError(
    'ColumnInvalid',
    `training.ageWeights: ${rows - Number(known)} of ${rows} rows have no usable ${what}, so that their age is not known; set them aside by data.rowFilter`,
  );
}
