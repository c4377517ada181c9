import { isTextInput, type ModelSignature } from '../../contracts/serving.ts';
import type { ColumnBatch, InputColumn } from '../onnx/tabular-session.ts';

/** A raw value as JSON has it: missing is `null`, a date epoch seconds. */
export type RawValue = number | string | null;
export type RawRow = Readonly<Record<string, RawValue | undefined>>;

/** A column of a kind with `length` values. @param value of each row */
export function columnOf(kind: string, length: number, value: (row: number) => number | string): InputColumn {
  if (kind === 'categorical' || kind === 'text')
    return Array.from({ length }, (_, row) => String(value(row)));
  const numbers = kind === 'datetime' ? new Float64Array(length) : new Float32Array(length);
  for (let row = 0; row < length; row++) numbers[row] = Number(value(row));
  return numbers;
}

/** Raw rows as the columns of a model. A missing number is NaN, a missing text `''`. */
export function batchOf(rows: readonly RawRow[], signature: ModelSignature): ColumnBatch {
  const columns = signature.inputs.map(({ name, kind }) => {
    const missing = isTextInput(kind) ? '' : Number.NaN;
    return [name, columnOf(kind, rows.length, (row) => rows[row]?.[name] ?? missing)] as const;
  });
  return { rows: rows.length, columns: new Map(columns) };
}

/** Rows of a batch in any order, some maybe more than once. */
export function pick(batch: ColumnBatch, rows: ArrayLike<number>): ColumnBatch {
  const columns = [...batch.columns].map(([name, column]) => [name, pickFrom(column, rows)] as const);
  return { rows: rows.length, columns: new Map(columns) };
}

/** Values of a column in any order. */
export function pickFrom(column: InputColumn, rows: ArrayLike<number>): InputColumn {
  if (column instanceof Float32Array) return take(column, rows, new Float32Array(rows.length));
  if (column instanceof Float64Array) return take(column, rows, new Float64Array(rows.length));
  return Array.from(rows, (row) => column[row] ?? '');
}

/** The batch with another column in place of one. */
export const replaced = (batch: ColumnBatch, name: string, column: InputColumn): ColumnBatch => ({
  rows: batch.rows,
  columns: new Map(batch.columns).set(name, column),
});

function take<T extends Float32Array | Float64Array>(from: T, rows: ArrayLike<number>, to: T): T {
  for (let at = 0; at < rows.length; at++) to[at] = from[rows[at] ?? 0] ?? Number.NaN;
  return to;
}
