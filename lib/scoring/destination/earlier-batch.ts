import { stat } from 'node:fs/promises';
import type { BatchFormat } from '../../../contracts/batch-output.ts';
import type { Database } from '../../duckdb/database.ts';
import { quoteLiteral } from '../../duckdb/sql.ts';
import type { BatchFacts } from './written-table.ts';

/**
 * What the first row of a file says of the batch that wrote it, so that the same batch, started again, knows its own
 * file by comparing bytes: the time of the start is all that differs.
 *
 * @returns `undefined` where there is no file, one without rows, or one that no batch wrote
 */
export async function earlierBatch(
  database: Database,
  path: string,
  format: BatchFormat,
): Promise<BatchFacts | undefined> {
  // Anything else, such as a pipe, might be read for ever.
  if (!(await stat(path).catch(() => undefined))?.isFile()) return undefined;
  try {
    const row = await database.row(
      `SELECT CAST(request_id AS VARCHAR) AS id, strftime(CAST(time AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%gZ') AS at FROM ${READ[format](quoteLiteral(path))} LIMIT 1`,
    );
    const { id, at } = row;
    return typeof id === 'string' && typeof at === 'string' ? { batchId: id, at } : undefined;
  } catch {
    return undefined;
  }
}

const READ: Record<BatchFormat, (path: string) => string> = {
  parquet: (path) => `read_parquet(${path})`,
  csv: (path) =>
    `read_csv(${path}, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"')`,
  jsonl: (path) =>
    `read_json(${path}, format = 'newline_delimited', columns = {request_id: 'VARCHAR', time: 'VARCHAR'})`,
};
