import { PerennialError } from '../../contracts/errors.ts';
import { type Database, refused } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { writeNpy } from '../npy.ts';

/**
 * Reads the target of a table in row order: class indices (int32) or numbers (float32).
 *
 * @param classNames empty for regression
 */
export async function readLabels(
  database: Database,
  parquetPath: string,
  target: string,
  classNames: readonly string[],
): Promise<Int32Array | Float32Array> {
  const column = quoteIdent(target);
  const source = `read_parquet(${quoteLiteral(parquetPath)})`;
  const value =
    classNames.length > 0
      ? `CAST(list_position([${classNames.map(quoteLiteral).join(', ')}], CAST(${column} AS VARCHAR)) - 1 AS INTEGER)`
      : `CAST(${column} AS FLOAT)`;
  const reader = await database.connection
    .runAndReadAll(`SELECT ${value} AS y FROM ${source}`)
    .catch(refused('ColumnInvalid', `columns.target ${target}`));
  const values = (reader.getColumns()[0] ?? []).map((item) => (typeof item === 'number' ? item : Number.NaN));
  if (values.some((item) => !Number.isFinite(item) || (classNames.length > 0 && item < 0)))
    throw new PerennialError(
      'ColumnInvalid',
      `columns.target: ${target} has missing, infinite or unknown values; set such rows aside by data.rowFilter`,
    );
  return classNames.length > 0 ? Int32Array.from(values) : Float32Array.from(values);
}

/** {@link readLabels} into an `.npy` file for trainers. */
export async function writeLabels(
  database: Database,
  parquetPath: string,
  target: string,
  classNames: readonly string[],
  path: string,
): Promise<void> {
  const labels = await readLabels(database, parquetPath, target, classNames);
  await writeNpy(path, labels, [labels.length]);
}
