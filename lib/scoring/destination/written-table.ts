import type { BatchFormat } from '../../../contracts/batch-output.ts';
import { type Database, refused } from '../../duckdb/database.ts';
import { quoteLiteral } from '../../duckdb/sql.ts';
import { LOG_COLUMN_TYPES } from '../../predictions/log-columns.ts';
import type { ScoringPlan } from '../plan.ts';
import { jsonQuery } from './json-values.ts';

/** What every row of a batch says of it. */
export interface BatchFacts {
  batchId: string;
  /** ISO time of the start. */
  at: string;
}

/**
 * All rows of a batch in their order, with the columns of the prediction log before what the chunks hold.
 *
 * @param chunks Parquet files of the chunks, in order
 */
export function answersQuery(
  chunks: readonly string[],
  { model, modelName }: Pick<ScoringPlan, 'model' | 'modelName'>,
  { batchId, at }: BatchFacts,
): string {
  const text = (value: string): string => quoteLiteral(value);
  return `SELECT ${text(batchId)} AS request_id, row,
    CAST(${text(at.replace('T', ' ').replace('Z', ''))} AS TIMESTAMP) AS time,
    ${text(modelName)} AS endpoint, ${text(model.version)} AS version, ${text(model.onnx.sha256)} AS digest,
    NULL::${LOG_COLUMN_TYPES.generation} AS generation, 'batch' AS role, NULL::VARCHAR AS reason, NULL::VARCHAR AS instead_of,
    NULL::${LOG_COLUMN_TYPES.latency_ms} AS latency_ms, * EXCLUDE (row)
    FROM read_parquet([${chunks.map(text).join(', ')}])`;
}

/**
 * Writes rows to a local file.
 *
 * @returns how many
 */
export async function writeRows(
  database: Database,
  query: string,
  path: string,
  format: BatchFormat,
): Promise<number> {
  if (format === 'parquet') return database.copyToParquet(query, path, 'OutputUnwritable', 'the output');
  const [rows, options] =
    format === 'csv'
      ? [query, 'FORMAT csv, HEADER true']
      : [await jsonQuery(database, query), 'FORMAT json, ARRAY false'];
  const { rows: counted } = await copied(database, `COPY (${rows}\n) TO ${quoteLiteral(path)} (${options})`);
  return counted;
}

async function copied(database: Database, sql: string): Promise<{ rows: number }> {
  const reader = await database.connection
    .runAndReadAll(sql)
    .catch(refused('OutputUnwritable', 'the output'));
  return { rows: Number(reader.getRowsJS()[0]?.[0] ?? 0) };
}
