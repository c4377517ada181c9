import type { NumberSketch } from '../../contracts/monitoring-reference.ts';
import { packNumbers, unpackNumbers } from './packed-numbers.ts';
import { isHeavy, quantilesReached } from './sorted-walk.ts';

/**
 * Different values up to which a sketch keeps all; of more it keeps as many quantiles. A multiple of the number of bins,
 * so that the ends of bins are among them.
 */
export const SKETCH_VALUES = 4_000;
/** Quantile bins for PSI and Jensen-Shannon. */
export const SKETCH_BINS = 10;

type Ascending = Float32Array | Float64Array;

/** A {@link NumberSketch} as numbers. */
export interface ReadSketch extends Pick<NumberSketch, 'rows' | 'missing' | 'summary' | 'exact' | 'bins'> {
  values: Float64Array;
  upTo: Float64Array;
  below: Float64Array;
  sums: Float64Array;
}

/**
 * The sketch of a column.
 *
 * @param ascending the values, the smallest first, none missing
 * @param missing rows without a value
 */
export function sketchNumbers(ascending: Ascending, missing: number): NumberSketch {
  const rows = ascending.length;
  const exact = hasFewValues(ascending);
  const kept = keptValues(ascending, exact);
  return {
    of: 'numbers',
    rows,
    missing,
    summary: summaryOf(ascending),
    exact,
    values: packNumbers(kept.values),
    upTo: packNumbers(kept.upTo),
    below: exact ? '' : packNumbers(kept.below),
    sums: exact ? '' : packNumbers(kept.sums),
    bins: binsOf(kept, rows),
  };
}

/** Makes numbers of the texts. */
export function readSketch(sketch: NumberSketch): ReadSketch {
  const { rows, missing, summary, exact, bins } = sketch;
  const values = unpackNumbers(sketch.values);
  const upTo = unpackNumbers(sketch.upTo);
  const below = exact ? values.map((_, i) => upTo[i - 1] ?? 0) : unpackNumbers(sketch.below);
  const sums = exact ? new Float64Array(values.length) : unpackNumbers(sketch.sums);
  return { rows, missing, summary, exact, bins, values, upTo, below, sums };
}

function hasFewValues(ascending: Ascending): boolean {
  let different = 0;
  for (let i = 0; i < ascending.length && different <= SKETCH_VALUES; i++)
    if (i === 0 || ascending[i] !== ascending[i - 1]) different++;
  return different <= SKETCH_VALUES;
}

function summaryOf(ascending: Ascending): NumberSketch['summary'] {
  const rows = ascending.length;
  if (rows === 0) return null;
  let sum = 0;
  for (let i = 0; i < rows; i++) sum += ascending[i] ?? 0;
  const mean = sum / rows;
  let squares = 0;
  for (let i = 0; i < rows; i++) squares += ((ascending[i] ?? 0) - mean) ** 2;
  return {
    min: ascending[0] ?? 0,
    max: ascending[rows - 1] ?? 0,
    mean,
    deviation: Math.sqrt(squares / rows),
  };
}

type Kept = Pick<ReadSketch, 'values' | 'upTo' | 'below' | 'sums'>;

function keptValues(ascending: Ascending, exact: boolean): Kept {
  const rows = ascending.length;
  const values: number[] = [];
  const upTo: number[] = [];
  const below: number[] = [];
  const sums: number[] = [];
  let between = 0;
  for (let from = 0; from < rows; ) {
    const value = ascending[from] ?? 0;
    let to = from + 1;
    while (to < rows && ascending[to] === value) to++;
    const reaches =
      Math.floor((to * SKETCH_VALUES) / rows) > Math.floor((from * SKETCH_VALUES) / rows) || from === 0;
    if (exact || reaches) {
      values.push(value);
      upTo.push(to);
      below.push(from);
      sums.push(between);
      between = 0;
    } else between += value * (to - from);
    from = to;
  }
  return {
    values: Float64Array.from(values),
    upTo: Float64Array.from(upTo),
    below: Float64Array.from(below),
    sums: Float64Array.from(sums),
  };
}

/**
 * Where the quantile bins end: at the values in which the column reaches 1/10, 2/10, … of its rows; a value that alone
 * holds a tenth is a bin of its own, as in `SortedWalk`. All of them are among the values that are kept.
 */
function binsOf({ values, upTo, below }: Kept, rows: number): NumberSketch['bins'] {
  const bins: NumberSketch['bins'] = [];
  let closed = 0;
  const close = (end: number | null, inclusive: boolean, reached: number): void => {
    bins.push({ end, inclusive, rows: reached - closed });
    closed = reached;
  };
  for (const [i, value] of values.entries()) {
    const [from, to] = [below[i] ?? 0, upTo[i] ?? 0];
    // What lies below a heavy value is a bin too, though it be empty here: what moves there must be seen.
    const heavy = isHeavy(to - from, rows, SKETCH_BINS);
    if (heavy) close(value, false, from);
    if (heavy || quantilesReached(to, rows, SKETCH_BINS) > quantilesReached(from, rows, SKETCH_BINS))
      close(value, true, to);
  }
  if (rows > 0) close(null, false, rows);
  return bins;
}
