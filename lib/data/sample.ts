import type { SampleSet } from '../../contracts/samples.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { sqlTypes } from '../features/fit.ts';
import { rawColumnsSql } from '../features/raw-sql.ts';

/** The rows that are chosen, counted from 0: evenly, from the first to the end of the table. @param limit how many at the most */
export function sampledRows(total: number, limit: number): number[] {
  const length = Math.min(total, limit);
  return Array.from({ length }, (_, i) => Math.floor((i * total) / length));
}

/**
 * Rows of a table, evenly chosen, as a client would send them, with the answers that were computed for them.
 *
 * @param predictions row-major `[n, outputs]` in the order of the signature's numeric outputs
 */
export async function sampleRows(
  database: Database,
  parquetPath: string,
  signature: ModelSignature,
  predictions: Float64Array,
  limit: number,
): Promise<SampleSet> {
  const outputs = signature.outputs.filter((output) => output.kind === 'float').map((output) => output.name);
  const total = predictions.length / outputs.length;
  const chosen = sampledRows(total, limit);
  const relation = `read_parquet(${quoteLiteral(parquetPath)}, file_row_number = true)`;
  const columns = signature.inputs.map(({ name, kind }) => ({ name, kind }));
  const types = await sqlTypes(database.connection, `read_parquet(${quoteLiteral(parquetPath)})`);
  const rows = await database.rows(
    `SELECT ${rawColumnsSql(columns, types)} FROM ${relation} WHERE file_row_number IN (${['NULL', ...chosen].join(', ')}) ORDER BY file_row_number`,
  );
  const value = (cell: unknown): number | string | null =>
    typeof cell === 'number'
      ? Number.isFinite(cell)
        ? cell
        : null
      : typeof cell === 'string' && cell !== ''
        ? cell
        : null;
  return {
    rows: rows.map((row) => Object.fromEntries(signature.inputs.map(({ name }) => [name, value(row[name])]))),
    expected: Object.fromEntries(
      outputs.map((output, k) => [
        output,
        chosen.map((row) => predictions[row * outputs.length + k] ?? Number.NaN),
      ]),
    ),
  };
}
