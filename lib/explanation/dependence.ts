import type { Dependence } from '../../contracts/explanation.ts';
import type { ModelInput } from '../../contracts/serving.ts';
import type { ColumnBatch, InputColumn } from '../onnx/tabular-session.ts';
import { columnOf, pick, replaced } from './columns.ts';
import { gridOf, shares } from './grid.ts';
import { type Slice, sizeOf } from './importance.ts';

export interface DependenceQuestion {
  input: Pick<ModelInput, 'name' | 'kind'>;
  batch: ColumnBatch;
  /** Values of the grid at the most. */
  points: number;
  outputs: number;
  slices: readonly Slice[];
  /** No value and no category of the column is told: shares of the rows and numbers stand in their places. */
  personal?: boolean;
  /** Single rows that are shown; 0 where rows are of people. */
  shownRows: number;
  answers: (batch: ColumnBatch) => Promise<Float64Array>;
}

/** The least rows of a slice that means are given of. */
const LEAST_ROWS = 20;

/**
 * Partial dependence (Friedman 2001) and individual conditional expectation (Goldstein, Kapelner, Bleich and Pitkin
 * 2015) of one column: the answers for all rows with the column set to one value after the other. Where columns go
 * together, some of these rows could not be: the curve says what the model does, not what the world does.
 *
 * @returns nothing for a column with fewer than two values that enough rows have
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
    ...(question.personal ? untold(kind, grid, column) : { kind, grid }),
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

/** The places of the grid without its values. */
function untold(
  kind: Dependence['kind'],
  grid: readonly (number | string)[],
  column: InputColumn,
): Pick<Dependence, 'kind' | 'grid'> {
  return kind === 'category'
    ? { kind, grid: grid.map((_, index) => `category ${index + 1}`) }
    : { kind: 'share', grid: shares(grid.map(Number), column) };
}
