import { PerennialError } from '../../contracts/errors.ts';
import { refused } from '../duckdb/database.ts';
import { orderedChunks } from '../duckdb/ordered-chunks.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { copyNumbers } from '../duckdb/vectors.ts';
import { tableSize } from '../features/table-size.ts';
import { createNpy, NpyRows } from '../npy-file.ts';

/** Class indices (int32), or the numbers of a regression (float32). */
export type Labels = Int32Array | Float32Array;

/** Where the target of a table stands. */
export interface LabelSource {
  parquetPath: string;
  target: string;
  /** In the order of their indices; empty for a regression. */
  classNames: readonly string[];
  /** Aborting stops the reading. */
  signal?: AbortSignal | undefined;
}

/** Labels that are checked, and written, at a time. */
const BATCH_ROWS = 65_536;

/**
 * Reads the target of a table in row order: class indices (int32) or numbers (float32). 4 bytes a row; the event loop
 * is never held for longer than a chunk takes.
 *
 * @throws PerennialError `ColumnInvalid` where a value is missing, infinite or of no class; `SourceUnreadable`
 * @example const labels = await readLabels({ parquetPath, target: 'late', classNames: ['false', 'true'] });
 */
export async function readLabels(source: LabelSource): Promise<Labels> {
  const labels = room(source, (await tableSize(source.parquetPath)).rows);
  let done = 0;
  for await (const batch of labelBatches(source)) {
    labels.set(batch, done);
    done += batch.length;
  }
  requireAll(done, labels.length);
  return labels;
}

/** {@link readLabels} into an `.npy` file for trainers, with one batch in memory at a time. */
export async function writeLabels(source: LabelSource, path: string): Promise<void> {
  const { rows } = await tableSize(source.parquetPath);
  await createNpy(path, source.classNames.length > 0 ? 'int32' : 'float32', [rows]);
  const file = await NpyRows.open(path);
  let done = 0;
  try {
    for await (const batch of labelBatches(source)) {
      await file.append(batch);
      done += batch.length;
    }
  } finally {
    await file.close();
  }
  requireAll(done, rows);
}

/** The labels, so many at a time; the next ones overwrite them. */
async function* labelBatches(source: LabelSource): AsyncGenerator<Labels> {
  const { parquetPath, target, signal } = source;
  const batch = room(source, BATCH_ROWS);
  let filled = 0;
  try {
    const query = `SELECT ${labelSql(source)} FROM read_parquet(${quoteLiteral(parquetPath)})`;
    for await (const chunk of orderedChunks(() => query, signal))
      for (let start = 0; start < chunk.rowCount; ) {
        const count = Math.min(chunk.rowCount - start, batch.length - filled);
        copyNumbers(chunk, 0, start, count, batch, filled);
        requireUsable(target, batch.subarray(filled, filled + count));
        start += count;
        filled += count;
        if (filled < batch.length) continue;
        yield batch;
        filled = 0;
      }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof PerennialError) throw error;
    refused('ColumnInvalid', `columns.target ${target}`)(error);
  }
  if (filled > 0) yield batch.subarray(0, filled);
}

/** Missing values and those of no class become -1 or NaN: a vector without NULL is copied as memory. */
function labelSql({ target, classNames }: LabelSource): string {
  const column = quoteIdent(target);
  return classNames.length > 0
    ? `CAST(coalesce(list_position([${classNames.map(quoteLiteral).join(', ')}], CAST(${column} AS VARCHAR)), 0) - 1 AS INTEGER)`
    : `coalesce(CAST(${column} AS FLOAT), CAST('nan' AS FLOAT))`;
}

function requireUsable(target: string, labels: Labels): void {
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] ?? Number.NaN;
    if (labels instanceof Int32Array ? label >= 0 : Number.isFinite(label)) continue;
    throw new PerennialError(
      'ColumnInvalid',
      `columns.target: ${target} has missing, infinite or unknown values; set such rows aside by data.rowFilter`,
    );
  }
}

function requireAll(read: number, rows: number): void {
  if (read !== rows)
    throw new PerennialError('StageFailed', `Of ${rows} labels of the table ${read} were read.`, true);
}

const room = ({ classNames }: LabelSource, rows: number): Labels =>
  classNames.length > 0 ? new Int32Array(rows) : new Float32Array(rows);
