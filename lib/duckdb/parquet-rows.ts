import { DuckDBBitValue } from '@duckdb/node-api';
import type { Database } from './database.ts';
import { quoteLiteral } from './sql.ts';

const VARIABLE = 'perennial_gone';

/**
 * Writes a Parquet file anew without some of its rows; the others stay in their order. By one bit for each row: the
 * engine does not promise that a join keeps the order of the rows.
 *
 * @param target must not exist
 * @param gone rows counted from 0, ascending
 */
export async function withoutParquetRows(
  database: Database,
  source: string,
  target: string,
  gone: readonly number[],
): Promise<void> {
  const table = `read_parquet(${quoteLiteral(source)}, file_row_number = true)`;
  const [first = 0] = gone;
  const last = gone.at(-1) ?? first;
  const bits = new Set(gone);
  const flags = DuckDBBitValue.fromLengthAndPredicate(last - first + 1, (i) => bits.has(first + i));
  await database.connection.run(`SET VARIABLE ${VARIABLE} = $1`, [flags]);
  try {
    await database.copyToParquet(
      `SELECT * EXCLUDE (file_row_number) FROM ${table}
       WHERE CASE WHEN file_row_number BETWEEN ${first} AND ${last}
         THEN get_bit(getvariable('${VARIABLE}')::BIT, (file_row_number - ${first})::INTEGER) = 0 ELSE true END`,
      target,
    );
  } finally {
    await database.run(`RESET VARIABLE ${VARIABLE}`);
  }
}
