import type { Reconstruction, SketchedColumn } from '../../contracts/monitoring-reference.ts';
import { symmetricEigen } from '../statistics/symmetric-eigen.ts';
import { MISSING, UNKNOWN, type Values } from './column-values.ts';

/** Share of the variance that the components keep, and chunks of the reference, as NannyML has them. */
const VARIANCE = 0.65;
const CHUNKS = 10;
/** Rows that are looked at, evenly taken, and columns. */
const MOST_ROWS = 50_000;
const MOST_COLUMNS = 256;

/** A column with its values, `[n]`. */
export interface ColumnValues extends SketchedColumn {
  values: Values;
}

/** Numbers, booleans and categories; a moment goes on and on, and texts have no frequency. */
const isTaken = ({ kind, sketch }: SketchedColumn): boolean =>
  kind !== 'datetime' && kind !== 'text' && sketch.rows > 0;

/** Which rows of so many are looked at: every `step`-th, rounded down. */
function evenly(rows: number): { rows: number; step: number } {
  const taken = Math.min(rows, MOST_ROWS);
  return { rows: taken, step: rows / taken };
}

/**
 * What a missing number is taken for, and each category: its share of the reference’s rows. The last two shares are those
 * of an unknown and of a missing category; it is taken for the commonest, of equal ones for the first by name, as
 * scikit-learn does.
 */
function encoding({ sketch }: SketchedColumn): { fill: number | null; shares: Float64Array } {
  if (sketch.of === 'numbers') return { fill: sketch.summary?.mean ?? 0, shares: new Float64Array() };
  const { names, counts, missing, rest } = sketch;
  const rows = sketch.rows + missing;
  const isBefore = (i: number, best: number): boolean =>
    (counts[i] ?? 0) > (counts[best] ?? 0) ||
    (counts[i] === counts[best] && (names[i] ?? '') < (names[best] ?? ''));
  const commonest = counts.reduce((best, _, i) => (isBefore(i, best) ? i : best), 0);
  const shares = counts.map((count, i) => (count + (i === commonest ? missing : 0)) / rows);
  const unknown = rest.names === 0 ? 0 : rest.rows / rest.names / rows;
  return { fill: null, shares: Float64Array.from([...shares, unknown, shares[commonest] ?? 0]) };
}

/** The numbers that stand for the values of a column, of the rows that are looked at. */
function encoded(column: ColumnValues, taken: ReturnType<typeof evenly>): Float64Array {
  const { fill, shares } = encoding(column);
  const numbers = new Float64Array(taken.rows);
  const { values } = column;
  if (values instanceof Uint16Array) encodeCodes(values, shares, taken, numbers);
  else encodeNumbers(values, fill ?? 0, taken, numbers);
  return numbers;
}

function encodeNumbers(
  values: Float32Array | Float64Array,
  fill: number,
  { step }: ReturnType<typeof evenly>,
  into: Float64Array,
): void {
  for (let i = 0; i < into.length; i++) {
    const value = values[Math.floor(i * step)] ?? Number.NaN;
    into[i] = Number.isNaN(value) ? fill : value;
  }
}

function encodeCodes(
  codes: Uint16Array,
  shares: Float64Array,
  { step }: ReturnType<typeof evenly>,
  into: Float64Array,
): void {
  const names = shares.length - 2;
  for (let i = 0; i < into.length; i++) {
    const code = codes[Math.floor(i * step)] ?? MISSING;
    into[i] = shares[code < names ? code : code === UNKNOWN ? names : names + 1] ?? 0;
  }
}

/** Row-major `[rows, columns]`, standardised. */
function matrixOf(columns: readonly Float64Array[], model: Reconstruction['columns']): Float64Array {
  const width = columns.length;
  const matrix = new Float64Array((columns[0]?.length ?? 0) * width);
  for (const [j, column] of columns.entries())
    placeColumn(matrix, width, j, column, model[j]?.mean ?? 0, model[j]?.scale ?? 1);
  return matrix;
}

function placeColumn(
  matrix: Float64Array,
  width: number,
  j: number,
  column: Float64Array,
  mean: number,
  scale: number,
): void {
  for (let i = 0; i < column.length; i++) matrix[i * width + j] = ((column[i] ?? 0) - mean) / scale;
}

/** Mean and deviation of a column as it is encoded. */
function scaling(column: SketchedColumn, numbers: Float64Array): Reconstruction['columns'][number] {
  const mean = meanOf(numbers);
  const deviation = deviationOf(numbers, mean);
  // Of a constant rounding leaves a trace.
  const scale = deviation > 1e-12 * Math.max(1, Math.abs(mean)) ? deviation : 1;
  return { name: column.name, fill: encoding(column).fill, mean, scale };
}

/**
 * Fits a principal component analysis to the reference, and measures how well it gives the rows back; the method and
 * the figures are those of NannyML’s `DataReconstructionDriftCalculator`: missing values filled by the mean or the
 * commonest category, categories by their frequency, columns standardised, components for 65 % of the variance, and the
 * mean Euclidean distance of a row from what the components give back. Of more than 50,000 rows so many are taken.
 *
 * @returns `null` where fewer than two columns are numbers or categories
 */
export function fitReconstruction(all: readonly ColumnValues[]): Reconstruction | null {
  const columns = all.filter(isTaken).slice(0, MOST_COLUMNS);
  const width = columns.length;
  const taken = evenly(columns[0]?.values.length ?? 0);
  if (width < 2 || taken.rows < 2) return null;
  const numbers = columns.map((column) => encoded(column, taken));
  const model = columns.map((column, j) => scaling(column, numbers[j] ?? new Float64Array()));
  const matrix = matrixOf(numbers, model);
  const components = componentsOf(matrix, width, taken.rows);
  const errors = rowErrors(matrix, width, components);
  const error = meanOf(errors);
  const chunkRows = Math.max(1, Math.floor(taken.rows / CHUNKS));
  const chunks = Float64Array.from({ length: Math.ceil(taken.rows / chunkRows) }, (_, i) =>
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

const meanOf = (values: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  return sum / values.length;
};

const deviationOf = (values: Float64Array, mean: number): number => {
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
  const matrix = matrixOf(
    known.map((column) => encoded(column, taken)),
    model.columns,
  );
  const error = meanOf(rowErrors(matrix, known.length, model.components));
  const fewer = Math.max(0, 1 / taken.rows - 1 / model.chunkRows);
  return {
    error,
    reference: model.chunkError,
    deviation: Math.sqrt(model.chunkDeviation ** 2 + model.rowDeviation ** 2 * fewer),
    components: model.components.length,
    rows: taken.rows,
  };
}
