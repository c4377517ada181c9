import type { Reconstruction, SketchedColumn } from '../../contracts/monitoring-reference.ts';
import { symmetricEigen } from '../statistics/symmetric-eigen.ts';
import { MISSING, UNKNOWN, type Values } from './column-values.ts';

/** Share of the variance that the components keep, and chunks of the reference, as NannyML has them. */
const VARIANCE = 0.65;
const CHUNKS = 10;
/** Rows that are looked at, evenly taken, and columns. */
const MOST_ROWS = 100_000;
const MOST_COLUMNS = 256;

/** A column with its values, `[n]`. */
export interface ColumnValues extends SketchedColumn {
  values: Values;
}

/** Numbers, booleans and categories; a moment goes on and on, and texts have no frequency. */
const isTaken = ({ kind, sketch }: SketchedColumn): boolean =>
  kind !== 'datetime' && kind !== 'text' && sketch.rows > 0;

/** Which rows of so many are looked at. */
function evenly(rows: number): { rows: number; at: (i: number) => number } {
  const taken = Math.min(rows, MOST_ROWS);
  return { rows: taken, at: (i) => (taken === rows ? i : Math.floor((i * rows) / taken)) };
}

/** The number that stands for a value: a number itself, a category its share of the reference’s rows. */
function encoder({ sketch }: SketchedColumn, fill: number | null): (value: number) => number {
  if (sketch.of === 'numbers') return (value) => (Number.isNaN(value) ? (fill ?? 0) : value);
  const rows = sketch.rows + sketch.missing;
  // A missing category is taken for the commonest; of equal ones for the first by name, as scikit-learn does.
  const commonest = sketch.counts.reduce(
    (best, count, i) =>
      count > (sketch.counts[best] ?? 0) ||
      (count === sketch.counts[best] && (sketch.names[i] ?? '') < (sketch.names[best] ?? ''))
        ? i
        : best,
    0,
  );
  const shares = sketch.counts.map((count, i) => (count + (i === commonest ? sketch.missing : 0)) / rows);
  const unknown = sketch.rest.names === 0 ? 0 : sketch.rest.rows / sketch.rest.names / rows;
  return (code) =>
    code === MISSING ? (shares[commonest] ?? 0) : code === UNKNOWN ? unknown : (shares[code] ?? 0);
}

/** Row-major `[rows, columns]`, standardised. */
function matrixOf(
  columns: readonly ColumnValues[],
  model: Reconstruction['columns'],
  taken: ReturnType<typeof evenly>,
): Float64Array {
  const width = columns.length;
  const matrix = new Float64Array(taken.rows * width);
  for (const [j, column] of columns.entries()) {
    const { fill = null, mean = 0, scale = 1 } = model[j] ?? {};
    const encode = encoder(column, fill);
    const { values } = column;
    for (let i = 0; i < taken.rows; i++)
      matrix[i * width + j] = (encode(values[taken.at(i)] ?? Number.NaN) - mean) / scale;
  }
  return matrix;
}

/** Mean and deviation of each column as it is encoded. */
function scaling(column: ColumnValues, taken: ReturnType<typeof evenly>): Reconstruction['columns'][number] {
  const { sketch, name, values } = column;
  const fill = sketch.of === 'numbers' ? (sketch.summary?.mean ?? 0) : null;
  const encode = encoder(column, fill);
  let sum = 0;
  for (let i = 0; i < taken.rows; i++) sum += encode(values[taken.at(i)] ?? Number.NaN);
  const mean = sum / taken.rows;
  let squares = 0;
  for (let i = 0; i < taken.rows; i++) squares += (encode(values[taken.at(i)] ?? Number.NaN) - mean) ** 2;
  const deviation = Math.sqrt(squares / taken.rows);
  // Of a constant rounding leaves a trace.
  return { name, fill, mean, scale: deviation > 1e-12 * Math.max(1, Math.abs(mean)) ? deviation : 1 };
}

/**
 * Fits a principal component analysis to the reference, and measures how well it gives the rows back; the method and
 * the figures are those of NannyML’s `DataReconstructionDriftCalculator`: missing values filled by the mean or the
 * commonest category, categories by their frequency, columns standardised, components for 65 % of the variance, and the
 * mean Euclidean distance of a row from what the components give back. Of more than 100,000 rows so many are taken.
 *
 * @returns `null` where fewer than two columns are numbers or categories
 */
export function fitReconstruction(all: readonly ColumnValues[]): Reconstruction | null {
  const columns = all.filter(isTaken).slice(0, MOST_COLUMNS);
  const width = columns.length;
  const taken = evenly(columns[0]?.values.length ?? 0);
  if (width < 2 || taken.rows < 2) return null;
  const model = columns.map((column) => scaling(column, taken));
  const matrix = matrixOf(columns, model, taken);
  const components = componentsOf(matrix, width, taken.rows);
  const errors = rowErrors(matrix, width, components);
  const error = meanOf(errors);
  const chunkRows = Math.max(1, Math.floor(taken.rows / CHUNKS));
  const chunks = Array.from({ length: Math.ceil(taken.rows / chunkRows) }, (_, i) =>
    meanOf(errors.subarray(i * chunkRows, (i + 1) * chunkRows)),
  );
  const chunkError = meanOf(chunks);
  return {
    columns: model,
    components: components.map((component) => [...component]),
    error,
    rowDeviation: deviationOf(errors, error),
    chunkError,
    chunkDeviation: deviationOf(chunks, chunkError),
    chunkRows,
    rows: taken.rows,
  };
}

const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  return sum / values.length;
};

const deviationOf = (values: ArrayLike<number>, mean: number): number => {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += ((values[i] ?? 0) - mean) ** 2;
  return Math.sqrt(squares / values.length);
};

function componentsOf(matrix: Float64Array, width: number, rows: number): Float64Array[] {
  const covariance = new Float64Array(width * width);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < width; j++) {
      const x = matrix[i * width + j] ?? 0;
      for (let k = 0; k <= j; k++)
        covariance[j * width + k] = (covariance[j * width + k] ?? 0) + x * (matrix[i * width + k] ?? 0);
    }
  for (let j = 0; j < width; j++)
    for (let k = 0; k <= j; k++) {
      const value = (covariance[j * width + k] ?? 0) / (rows - 1);
      covariance[j * width + k] = value;
      covariance[k * width + j] = value;
    }
  const { values, vectors } = symmetricEigen(covariance, width);
  const total = values.reduce((sum, value) => sum + value, 0);
  let reached = 0;
  let kept = 0;
  // As many as it takes to get beyond the share.
  while (kept < width && reached <= VARIANCE * total) reached += values[kept++] ?? 0;
  return vectors.slice(0, Math.max(1, kept));
}

function rowErrors(
  matrix: Float64Array,
  width: number,
  components: readonly ArrayLike<number>[],
): Float64Array {
  const errors = new Float64Array(matrix.length / width);
  const flat = Float64Array.from(components.flatMap((component) => Array.from(component)));
  const rest = new Float64Array(width);
  for (let row = 0; row < errors.length; row++) {
    const from = row * width;
    for (let j = 0; j < width; j++) rest[j] = matrix[from + j] ?? 0;
    for (let at = 0; at < flat.length; at += width) {
      let along = 0;
      for (let j = 0; j < width; j++) along += (flat[at + j] ?? 0) * (matrix[from + j] ?? 0);
      for (let j = 0; j < width; j++) rest[j] = (rest[j] ?? 0) - along * (flat[at + j] ?? 0);
    }
    let squares = 0;
    for (let j = 0; j < width; j++) squares += (rest[j] ?? 0) ** 2;
    errors[row] = Math.sqrt(squares);
  }
  return errors;
}

/**
 * How well the reference’s components give the rows of a window back.
 *
 * The deviation is that from chunk to chunk of the reference. A window with fewer rows than a chunk varies more by
 * chance alone, which is added; one with more is held against the chunks as they are.
 *
 * @param columns with the values of the window; those of the model are taken
 * @returns `null` where one of the model’s columns is missing, or there are no rows
 */
export function reconstructionError(
  model: Reconstruction,
  columns: readonly ColumnValues[],
): { error: number; reference: number; deviation: number; components: number; rows: number } | null {
  const own = model.columns.map(({ name }) => columns.find((column) => column.name === name));
  const known = own.filter((column) => column !== undefined);
  const rows = known[0]?.values.length ?? 0;
  if (known.length < own.length || rows === 0) return null;
  const taken = evenly(rows);
  const error = meanOf(rowErrors(matrixOf(known, model.columns, taken), known.length, model.components));
  const fewer = Math.max(0, 1 / taken.rows - 1 / model.chunkRows);
  return {
    error,
    reference: model.chunkError,
    deviation: Math.sqrt(model.chunkDeviation ** 2 + model.rowDeviation ** 2 * fewer),
    components: model.components.length,
    rows: taken.rows,
  };
}
