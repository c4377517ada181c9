import type { Dependence } from '../../contracts/explanation.ts';
import type { ModelInput } from '../../contracts/serving.ts';
import type { ColumnBatch, InputColumn } from '../onnx/tabular-session.ts';
import { columnOf, pick, replaced } from './columns.ts';
import { type Slice, sizeOf } from './importance.ts';

export interface DependenceQuestion {
  input: Pick<ModelInput, 'name' | 'kind'>;
  batch: ColumnBatch;
  /** Values of the grid at the most. */
  points: number;
  outputs: number;
  slices: readonly Slice[];
  /** Single rows that are shown; 0 where rows are of people. */
  shownRows: number;
  answers: (batch: ColumnBatch) => Promise<Float64Array>;
}

/** Extreme values are few rows' and would stretch the picture. */
const GRID_SHARES = { from: 0.02, to: 0.98 };
/** The least rows of a slice that means are given of. */
const LEAST_ROWS = 20;

/**
 * Partial dependence (Friedman 2001) and individual conditional expectation (Goldstein, Kapelner, Bleich and Pitkin
 * 2015) of one column: the answers for all rows with the column set to one value after the other. Where columns go
 * together, some of these rows could not be: the curve says what the model does, not what the world does.
 *
 * @returns nothing for a column with fewer than two values
 */
export async function partialDependence(question: DependenceQuestion): Promise<Dependence | undefined> {
  const { input, batch, points, outputs, slices, shownRows } = question;
  const column = batch.columns.get(input.name) ?? [];
  const { kind, grid } = gridOf(input.kind, column, points);
  if (grid.length < 2) return undefined;
  const { rows } = batch;
  const repeated = pick(
    batch,
    Uint32Array.from({ length: rows * grid.length }, (_, i) => i % rows),
  );
  const values = columnOf(input.kind, rows * grid.length, (i) => grid[Math.floor(i / rows)] ?? Number.NaN);
  const answers = await question.answers(replaced(repeated, input.name, values));
  const answer = (point: number, row: number, k: number): number =>
    answers[(point * rows + row) * outputs + k] ?? Number.NaN;
  const mean = (point: number, k: number, counts?: Slice['rows']): number => {
    let [sum, count] = [0, 0];
    for (let row = 0; row < rows; row++) {
      const weight = counts === undefined ? 1 : (counts[row] ?? 0);
      if (weight === 0) continue;
      sum += weight * answer(point, row, k);
      count += weight;
    }
    return sum / count;
  };
  const sizes = slices.map(sizeOf);
  const shown = Math.min(shownRows, rows);
  return {
    column: input.name,
    kind,
    grid,
    means: Array.from({ length: outputs }, (_, k) => grid.map((_value, point) => mean(point, k))),
    slices: slices.flatMap((slice, index) =>
      (sizes[index] ?? 0) < LEAST_ROWS
        ? []
        : [
            {
              slice: slice.name,
              rows: sizes[index] ?? 0,
              means: grid.map((_value, point) => mean(point, 0, slice.rows)),
            },
          ],
    ),
    rows: Array.from({ length: shown }, (_, index) => {
      const row = Math.floor((index * rows) / shown);
      return grid.map((_value, point) => answer(point, row, 0));
    }),
  };
}

/** Values to look at: quantiles of a number, the most frequent categories, all of a boolean. */
function gridOf(
  kind: ModelInput['kind'],
  column: InputColumn,
  points: number,
): { kind: Dependence['kind']; grid: (number | string)[] } {
  if (column instanceof Float32Array || column instanceof Float64Array) {
    const present = column.filter((value) => Number.isFinite(value)).sort();
    const distinct = new Set(present);
    const quantiles = Array.from({ length: points }, (_, i) => {
      const share = GRID_SHARES.from + ((GRID_SHARES.to - GRID_SHARES.from) * i) / (points - 1);
      return present[Math.floor(share * (present.length - 1))] ?? Number.NaN;
    });
    const values = distinct.size <= points ? [...distinct] : [...new Set(quantiles)];
    const grid = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
    if (kind === 'boolean') return { kind: 'category', grid };
    return { kind: kind === 'datetime' ? 'date' : 'number', grid };
  }
  return { kind: 'category', grid: categories(column).slice(0, points) };
}

/** A category with fewer of the rows says little, and may be one person's own. */
const LEAST_OF_CATEGORY = 5;

/** Categories with enough rows, the most frequent first. */
export function categories(column: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const value of column) if (value !== '') counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count >= LEAST_OF_CATEGORY)
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .map(([value]) => value);
}
