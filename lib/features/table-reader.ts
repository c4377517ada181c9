import { type DuckDBConnection, type DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api';
import { Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import type { RawColumn } from './feature-plan.ts';
import { sqlTypes } from './fit.ts';
import { rawColumnsSql } from './raw-sql.ts';

/** Up to so many rows as the inputs of a graph: a rank-1 tensor for each raw column. */
export interface RawBatch {
  rows: number;
  feeds: Record<string, Tensor>;
}

/**
 * Reads a Parquet file in row order as batches of model inputs. Only one batch is held in memory.
 *
 * @param columns the raw columns, @param batchRows rows of a batch (the last may have fewer; none is empty)
 * @param strict whether a column that the file lacks is an error; otherwise it is read as missing
 * @throws PerennialError `SourceUnreadable` where the file is no Parquet, `ColumnMissing`, `ColumnInvalid`
 */
export async function* readBatches(
  parquetPath: string,
  columns: readonly RawColumn[],
  batchRows: number,
  strict: boolean,
): AsyncGenerator<RawBatch> {
  // One thread: DuckDB 1.5 streams a wide result of several row groups out of order when it reads in parallel.
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '1GB', threads: '1' });
  const connection = await instance.connect();
  try {
    const relation = `read_parquet(${quoteLiteral(parquetPath)})`;
    const sql = await rawQuery(connection, relation, columns, strict);
    const buffers = columns.map((column) => new RawBuffer(column, batchRows));
    const feeds = (rows: number) =>
      Object.fromEntries(buffers.map((buffer) => [buffer.name, buffer.tensor(rows)]));
    let filled = 0;
    const result = await connection.stream(sql);
    for await (const chunk of result) {
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
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function rawQuery(
  connection: DuckDBConnection,
  relation: string,
  columns: readonly RawColumn[],
  strict: boolean,
): Promise<string> {
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
  return `SELECT ${rawColumnsSql(columns, types)} FROM ${relation}`;
}

/** The values of one column, reused from batch to batch. */
class RawBuffer {
  readonly name: string;
  readonly #values: Float32Array | Float64Array | string[];

  constructor({ name, kind }: RawColumn, size: number) {
    this.name = name;
    this.#values =
      kind === 'categorical'
        ? new Array<string>(size).fill('')
        : kind === 'datetime'
          ? new Float64Array(size)
          : new Float32Array(size);
  }

  copy(chunk: DuckDBDataChunk, column: number, start: number, count: number, at: number): void {
    const vector = chunk.getColumnVector(column);
    const values = this.#values;
    if (Array.isArray(values)) {
      for (let row = 0; row < count; row++) values[at + row] = String(vector.getItem(start + row));
    } else {
      for (let row = 0; row < count; row++) values[at + row] = Number(vector.getItem(start + row));
    }
  }

  tensor(rows: number): Tensor {
    const values = this.#values;
    if (values instanceof Float32Array) return new Tensor('float32', values.subarray(0, rows), [rows]);
    if (values instanceof Float64Array) return new Tensor('float64', values.subarray(0, rows), [rows]);
    return new Tensor('string', rows === values.length ? values : values.slice(0, rows), [rows]);
  }
}
