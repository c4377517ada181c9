import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import { isTextInput } from '../../contracts/serving.ts';
import { orderedChunks } from '../duckdb/ordered-chunks.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { copyNumbers, TextReader } from '../duckdb/vectors.ts';
import type { RawColumn } from './feature-plan.ts';
import { sqlTypes } from './fit.ts';
import { rawColumnsSql } from './raw-sql.ts';
import { ROW_NUMBER, type TableJob } from './table-job.ts';

/** Up to so many rows as the inputs of a graph: a rank-1 tensor for each raw column. */
export interface RawBatch {
  rows: number;
  feeds: Record<string, Tensor>;
}

/**
 * Reads rows of a Parquet file in their order as batches of model inputs. Only one batch is held in memory; it is
 * overwritten by the next.
 *
 * @throws PerennialError `SourceUnreadable` where the file is no Parquet, `ColumnMissing`, `ColumnInvalid`
 */
export async function* readBatches(
  job: Pick<TableJob, 'parquetPath' | 'columns' | 'strict' | 'computed' | 'range' | 'batchRows'>,
): AsyncGenerator<RawBatch> {
  const { columns, batchRows, computed } = job;
  const buffers = [...columns, ...(computed ? [{ name: computed.name, kind: 'numeric' } as const] : [])].map(
    (column) => new RawBuffer(column, batchRows),
  );
  const feeds = (rows: number) =>
    Object.fromEntries(buffers.map((buffer) => [buffer.name, buffer.tensor(rows)]));
  let filled = 0;
  let next = job.range?.from;
  for await (const chunk of orderedChunks((connection) => rawQuery(connection, job))) {
    if (next !== undefined) next = inOrder(chunk, buffers.length, next);
    for (let start = 0; start < chunk.rowCount; ) {
      const count = Math.min(chunk.rowCount - start, batchRows - filled);
      buffers.forEach((buffer, index) => {
        buffer.copy(chunk, index, start, count, filled);
      });
      start += count;
      filled += count;
      if (filled === batchRows) {
        yield { rows: filled, feeds: feeds(filled) };
        filled = 0;
      }
    }
  }
  if (filled > 0) yield { rows: filled, feeds: feeds(filled) };
}

/**
 * The number of the row after a chunk's. Rows that come in another order would get each other's answers.
 *
 * @throws PerennialError `StageFailed`
 */
function inOrder(chunk: DuckDBDataChunk, column: number, first: number): number {
  const numbers = new Float64Array(chunk.rowCount);
  copyNumbers(chunk, column, 0, chunk.rowCount, numbers, 0);
  if (numbers.some((number, row) => number !== first + row))
    throw new PerennialError('StageFailed', 'The rows of the table were not read in their order.');
  return first + chunk.rowCount;
}

async function rawQuery(
  connection: DuckDBConnection,
  {
    parquetPath,
    columns,
    strict,
    computed,
    range,
  }: Pick<TableJob, 'parquetPath' | 'columns' | 'strict' | 'computed' | 'range'>,
): Promise<string> {
  const relation = `read_parquet(${quoteLiteral(parquetPath)})`;
  const types = await sqlTypes(connection, relation).catch((cause: unknown) => {
    throw new PerennialError('SourceUnreadable', 'The table cannot be read as a Parquet file.', false, {
      cause,
    });
  });
  const missing = columns.find(({ name }) => !types.has(name));
  if (strict && missing) {
    throw new PerennialError(
      'ColumnMissing',
      `The table has no column "${missing.name}", which the features were fitted on; it has ${[...types.keys()].join(', ')}.`,
    );
  }
  const values = [
    rawColumnsSql(columns, types),
    ...(computed ? [`CAST(${computed.sql} AS FLOAT) AS ${quoteIdent(computed.name)}`] : []),
    ...(range ? [`CAST(${ROW_NUMBER} AS DOUBLE)`] : []),
  ];
  const where = range ? ` WHERE ${ROW_NUMBER} >= ${range.from} AND ${ROW_NUMBER} < ${range.before}` : '';
  return `SELECT ${values.join(', ')} FROM ${relation}${where}`;
}

/** The values of one column, reused from batch to batch. */
class RawBuffer {
  readonly name: string;
  readonly #values: Float32Array | Float64Array | TextReader;

  constructor({ name, kind }: RawColumn, size: number) {
    this.name = name;
    this.#values = isTextInput(kind)
      ? new TextReader(size)
      : kind === 'datetime'
        ? new Float64Array(size)
        : new Float32Array(size);
  }

  copy(chunk: DuckDBDataChunk, column: number, start: number, count: number, at: number): void {
    const values = this.#values;
    if (values instanceof TextReader) values.copy(chunk, column, start, count, at);
    else copyNumbers(chunk, column, start, count, values, at);
  }

  tensor(rows: number): Tensor {
    const values = this.#values;
    if (values instanceof Float32Array) return new Tensor('float32', values.subarray(0, rows), [rows]);
    if (values instanceof Float64Array) return new Tensor('float64', values.subarray(0, rows), [rows]);
    const { texts } = values;
    return new Tensor('string', rows === texts.length ? texts : texts.slice(0, rows), [rows]);
  }
}
