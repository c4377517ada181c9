import type { OutputColumns } from '../../lib/onnx/tabular-session.ts';

/** How many rows have an output that says nothing: NaN or an infinite number, or an empty label. */
export function invalidRows({ rows, columns }: OutputColumns): number {
  const invalid = new Set<number>();
  for (const { kind, data } of columns)
    for (let row = 0; row < rows; row++) {
      const sound = kind === 'string' ? data[row] !== '' : Number.isFinite(data[row]);
      if (!sound) invalid.add(row);
    }
  return invalid.size;
}
