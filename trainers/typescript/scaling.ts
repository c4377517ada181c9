import type { Fold } from './training-data.ts';

/** Mean and standard deviation per column; part of the model, so callers need not scale. */
export interface Scaling {
  mean: Float32Array;
  /** 1 / standard deviation; 1 for a constant column, which the mean turns into zero. */
  inverse: Float32Array;
}

/** Fits the scaling of the columns of row-major `values`. */
export function fitScaling(values: ArrayLike<number>, columns: number): Scaling {
  const rows = values.length / columns;
  const sum = new Float64Array(columns);
  for (let index = 0; index < values.length; index++) {
    const column = index % columns;
    sum[column] = (sum[column] ?? 0) + (values[index] ?? 0);
  }
  const mean = sum.map((total) => total / rows);
  const squares = new Float64Array(columns);
  for (let index = 0; index < values.length; index++) {
    const column = index % columns;
    squares[column] = (squares[column] ?? 0) + ((values[index] ?? 0) - (mean[column] ?? 0)) ** 2;
  }
  const inverse = squares.map((total, column) => {
    const deviation = Math.sqrt(total / rows);
    return deviation > 1e-12 * Math.max(1, Math.abs(mean[column] ?? 0)) ? 1 / deviation : 1;
  });
  return { mean: Float32Array.from(mean), inverse: Float32Array.from(inverse) };
}

/** Scaled features of some rows, `[rows, columns]`, computed as the ONNX graph does: in float32, step by step. */
export function scaledRows(fold: Fold, rows: Uint32Array, { mean, inverse }: Scaling): Float32Array {
  const { columns, features } = fold;
  const scaled = new Float32Array(rows.length * columns);
  let target = 0;
  for (const row of rows) {
    for (let column = 0, source = row * columns; column < columns; column++, source++) {
      const centred = Math.fround((features[source] ?? 0) - (mean[column] ?? 0));
      scaled[target++] = centred * (inverse[column] ?? 1);
    }
  }
  return scaled;
}
