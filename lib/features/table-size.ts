import { DuckDBInstance } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { sqlTypes } from './fit.ts';
import { ROW_NUMBER } from './table-job.ts';

/** Fewer rows than this are not worth a process of their own. */
const LEAST_ROWS = 100_000;
/** A process reads whole row groups of this many rows, as Perennial writes them, but for the last. */
const ROW_GROUP = 122_880;

/**
 * The number of rows of a Parquet file, from its metadata.
 *
 * @returns `numbered`: whether its rows can be told apart by their number; a table with a column of that name cannot
 * @throws PerennialError `SourceUnreadable` where the file is no Parquet
 */
export async function tableSize(parquetPath: string): Promise<{ rows: number; numbered: boolean }> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    const relation = `read_parquet(${quoteLiteral(parquetPath)})`;
    const types = await sqlTypes(connection, relation);
    const reader = await connection.runAndReadAll(`SELECT CAST(count(*) AS DOUBLE) FROM ${relation}`);
    return { rows: Number(reader.getRowsJS()[0]?.[0] ?? 0), numbered: !types.has(ROW_NUMBER) };
  } catch (cause) {
    throw new PerennialError('SourceUnreadable', 'The table cannot be read as a Parquet file.', false, {
      cause,
    });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * Contiguous ranges that cover `rows`, at most `workers`, of about equal length.
 *
 * @example rowRanges(500_000, 2) // [{ from: 0, before: 245_760 }, { from: 245_760, before: 500_000 }]
 */
export function rowRanges(rows: number, workers: number): { from: number; before: number }[] {
  const wanted = Math.max(1, Math.min(workers, Math.floor(rows / LEAST_ROWS)));
  const groups = Math.max(1, Math.ceil(rows / ROW_GROUP));
  const bounds = Array.from(
    { length: wanted },
    (_, index) => Math.round((groups * index) / wanted) * ROW_GROUP,
  );
  return [...new Set(bounds)].map((from, index, all) => ({ from, before: all[index + 1] ?? rows }));
}
