import type { CodedColumn } from './coded-column.ts';
import { benjaminiHochberg, type Moments, welch } from './student-t.ts';

/** A slice that does significantly worse than the other rows. */
export interface FoundSlice {
  /** Index of the column and code of the rows, for one column or two. */
  parts: { column: number; code: number }[];
  rows: number;
  /** Mean loss of its rows, and of all others. */
  loss: number;
  lossOutside: number;
  effect: number;
  /** Corrected for all slices that were tried. */
  p: number;
}

/** How slices are looked for. */
export interface SearchOptions {
  minRows: number;
  /** Columns that a slice may be made of. */
  features: 1 | 2;
  /** False discovery rate. */
  alpha: number;
  limit: number;
}

/** What was found, the worst first, and how many slices were tried. */
export interface SearchResult {
  found: FoundSlice[];
  tried: number;
}

/** Pairs are made of so many columns at the most: those whose own slices differ most. */
const MOST_PAIRED = 60;

/** A smaller difference is no news, however sure it is (Cohen 1988 calls 0.2 small). */
const LEAST_EFFECT = 0.1;

/** A part of a slice that is told already must be so much worse than it to be told too. */
const WORSE_THAN_WHOLE = 1.25;

interface Tried extends FoundSlice {
  raw: number;
}

const plus = (a: Moments, b: Moments): Moments => ({
  count: a.count + b.count,
  sum: a.sum + b.sum,
  squares: a.squares + b.squares,
});
const minus = (a: Moments, b: Moments): Moments => ({
  count: a.count - b.count,
  sum: a.sum - b.sum,
  squares: a.squares - b.squares,
});

/**
 * Looks for parts of the rows in which a model does badly: all values of one column and all pairs of values of two, in
 * the way of SliceFinder (Chung, Kraska, Polyzotis, Tae, Whang 2019): Welch's test of the loss inside against outside,
 * and an effect size. For the many tests the false discovery rate is held by Benjamini and Hochberg (1995). Slices are
 * ranked by their mean loss; a slice of two columns is told beside one that contains it only where its loss is a
 * quarter higher.
 *
 * @param losses of the rows, `[n]`
 * @example
 * worstSlices([{ name: 'region', labels: ['region = north'], codes, unnamed: 0 }], losses, { minRows: 100, features: 2, alpha: 0.05, limit: 10 })
 */
export function worstSlices(
  columns: readonly CodedColumn[],
  losses: Float64Array,
  options: SearchOptions,
): SearchResult {
  const whole = losses.reduce<Moments>(
    (sum, loss) => plus(sum, { count: 1, sum: loss, squares: loss ** 2 }),
    { count: 0, sum: 0, squares: 0 },
  );
  const tried: Tried[] = [];
  const consider = (parts: FoundSlice['parts'], inside: Moments): number => {
    const outside = minus(whole, inside);
    if (inside.count < options.minRows || outside.count < options.minRows) return 0;
    const { effect, p } = welch(inside, outside);
    const loss = inside.sum / inside.count;
    const lossOutside = outside.sum / outside.count;
    tried.push({ parts, rows: inside.count, loss, lossOutside, effect, raw: p, p: 1 });
    return inside.count * (loss - whole.sum / whole.count) ** 2;
  };
  const spread = columns.map((column, index) => {
    const { counts, sums, squares } = moments(column.codes, column.labels.length + 1, losses);
    let between = 0;
    for (let code = 0; code < column.labels.length; code++)
      between += consider([{ column: index, code }], {
        count: counts[code] ?? 0,
        sum: sums[code] ?? 0,
        squares: squares[code] ?? 0,
      });
    return { index, between };
  });
  if (options.features === 2) {
    const paired = spread
      .sort((a, b) => b.between - a.between || a.index - b.index)
      .slice(0, MOST_PAIRED)
      .map(({ index }) => index)
      .sort((a, b) => a - b);
    for (const [at, first] of paired.entries())
      for (const second of paired.slice(at + 1)) pairs(columns, first, second, losses, consider);
  }
  const corrected = benjaminiHochberg(Float64Array.from(tried, ({ raw }) => raw));
  const significant = tried
    .map(({ raw: _, ...slice }, i) => ({ ...slice, p: corrected[i] ?? 1 }))
    .filter(({ p, effect }) => p <= options.alpha && effect >= LEAST_EFFECT)
    .sort((a, b) => b.loss - a.loss || b.rows - a.rows);
  return { found: withoutParts(significant, options.limit), tried: tried.length };
}

/** Slices that say something beside the others: a part of one only where it is clearly worse. */
function withoutParts(slices: readonly FoundSlice[], limit: number): FoundSlice[] {
  const contains = (whole: FoundSlice, part: FoundSlice): boolean =>
    whole.parts.length < part.parts.length &&
    whole.parts.every(({ column, code }) =>
      part.parts.some((one) => one.column === column && one.code === code),
    );
  const singles = slices.filter(({ parts }) => parts.length === 1);
  return slices
    .filter(
      (slice) =>
        !singles.some((whole) => contains(whole, slice) && slice.loss < WORSE_THAN_WHOLE * whole.loss),
    )
    .slice(0, limit);
}

function moments(codes: Uint16Array, size: number, losses: Float64Array) {
  const counts = new Uint32Array(size);
  const sums = new Float64Array(size);
  const squares = new Float64Array(size);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    const loss = losses[i] ?? 0;
    counts[code] = (counts[code] ?? 0) + 1;
    sums[code] = (sums[code] ?? 0) + loss;
    squares[code] = (squares[code] ?? 0) + loss * loss;
  }
  return { counts, sums, squares };
}

function pairs(
  columns: readonly CodedColumn[],
  first: number,
  second: number,
  losses: Float64Array,
  consider: (parts: FoundSlice['parts'], inside: Moments) => number,
): void {
  const [a, b] = [columns[first], columns[second]];
  if (!a || !b) return;
  const width = b.labels.length + 1;
  const codes = new Uint16Array(a.codes.length);
  for (let i = 0; i < codes.length; i++) codes[i] = (a.codes[i] ?? 0) * width + (b.codes[i] ?? 0);
  const { counts, sums, squares } = moments(codes, (a.labels.length + 1) * width, losses);
  for (let x = 0; x < a.labels.length; x++)
    for (let y = 0; y < b.labels.length; y++) {
      const at = x * width + y;
      consider(
        [
          { column: first, code: x },
          { column: second, code: y },
        ],
        { count: counts[at] ?? 0, sum: sums[at] ?? 0, squares: squares[at] ?? 0 },
      );
    }
}
