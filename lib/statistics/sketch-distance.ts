import type { DriftedColumn } from '../../contracts/monitoring.ts';
import { type CountPair, jensenShannon, populationStability } from './count-distances.ts';
import { twoSamplePValue } from './kolmogorov.ts';
import type { ReadSketch } from './number-sketch.ts';

/** How a column of numbers differs from the sketch of another one. */
export interface SketchDistance extends Pick<DriftedColumn, 'psi' | 'jensenShannon' | 'ks' | 'wasserstein'> {
  /** Rows in each of the sketch’s bins. */
  bins: CountPair[];
  /** By how much the Kolmogorov-Smirnov statistic and the Wasserstein distance may be off; 0 where the sketch is exact. */
  bounds: { ks: number; wasserstein: number };
}

/** Values of the column at and below those of the sketch. */
interface Ranks {
  below: Float64Array;
  upTo: Float64Array;
}

/**
 * Holds values against a sketch. PSI and Jensen-Shannon are exact in any case. The Kolmogorov-Smirnov statistic and the
 * Wasserstein-1 distance (in standard deviations of the reference) are exact where the sketch holds all values. Else the
 * statistic is at most 1/4000 too small, and the distance is off by no more than what 1/4000 of the reference’s rows
 * could move within the cells in which the distributions cross.
 *
 * @param ascending the smallest first, none missing
 * @returns nulls where a side has no values; no distance where the reference is constant
 */
export function sketchDistance(sketch: ReadSketch, ascending: Float32Array | Float64Array): SketchDistance {
  const rows = ascending.length;
  const ranks = ranksOf(sketch.values, ascending);
  const bins = binCounts(sketch, ranks, rows);
  if (sketch.rows === 0 || rows === 0)
    return {
      psi: null,
      jensenShannon: null,
      ks: null,
      wasserstein: null,
      bins,
      bounds: { ks: 0, wasserstein: 0 },
    };
  const { statistic, bound } = greatestDistance(sketch, ranks, rows);
  const moved = moveDistance(sketch, ranks, ascending);
  const deviation = sketch.summary?.deviation ?? 0;
  return {
    psi: populationStability(bins),
    jensenShannon: jensenShannon(bins),
    ks: { statistic, pValue: twoSamplePValue(statistic, sketch.rows, rows) },
    wasserstein: deviation > 0 ? moved.distance / deviation : null,
    bins,
    bounds: { ks: bound, wasserstein: deviation > 0 ? moved.bound / deviation : 0 },
  };
}

function ranksOf(values: Float64Array, ascending: Float32Array | Float64Array): Ranks {
  const below = new Float64Array(values.length);
  const upTo = new Float64Array(values.length);
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    while (at < ascending.length && (ascending[at] ?? 0) < value) at++;
    below[i] = at;
    while (at < ascending.length && ascending[at] === value) at++;
    upTo[i] = at;
  }
  return { below, upTo };
}

/** Bins that are empty on both sides say nothing, and are left out, as in `SortedWalk`; here they count for nothing. */
function binCounts(sketch: ReadSketch, ranks: Ranks, rows: number): CountPair[] {
  let place = 0;
  let closed = 0;
  return sketch.bins.map(({ end, inclusive, rows: reference }) => {
    let reached = rows;
    if (end !== null) {
      while (place < sketch.values.length && (sketch.values[place] ?? 0) < end) place++;
      reached = (inclusive ? ranks.upTo[place] : ranks.below[place]) ?? rows;
    }
    const current = reached - closed;
    closed = reached;
    return { reference, current };
  });
}

function greatestDistance(
  sketch: ReadSketch,
  { below, upTo }: Ranks,
  rows: number,
): { statistic: number; bound: number } {
  let statistic = 0;
  let bound = 0;
  for (let i = 0; i < sketch.values.length; i++) {
    const before = Math.abs((sketch.below[i] ?? 0) / sketch.rows - (below[i] ?? 0) / rows);
    const after = Math.abs((sketch.upTo[i] ?? 0) / sketch.rows - (upTo[i] ?? 0) / rows);
    statistic = Math.max(statistic, before, after);
    const between = ((sketch.below[i] ?? 0) - (sketch.upTo[i - 1] ?? 0)) / sketch.rows;
    bound = Math.max(bound, Math.min(between, ((below[i] ?? 0) - (upTo[i - 1] ?? 0)) / rows));
  }
  return { statistic, bound };
}

/** The area between the two distribution functions (Vallender 1974), cell by cell between the sketch’s values. */
function moveDistance(
  sketch: ReadSketch,
  { below, upTo }: Ranks,
  ascending: Float32Array | Float64Array,
): { distance: number; bound: number } {
  const rows = ascending.length;
  const last = sketch.values.length - 1;
  let distance = 0;
  let bound = 0;
  // Below the reference’s least value and above its greatest one nothing can cross.
  for (let i = 0; i < (below[0] ?? 0); i++)
    distance += ((sketch.values[0] ?? 0) - (ascending[i] ?? 0)) / rows;
  for (let i = upTo[last] ?? 0; i < rows; i++)
    distance += ((ascending[i] ?? 0) - (sketch.values[last] ?? 0)) / rows;
  for (let cell = 1; cell <= last; cell++) {
    const [from, to] = [sketch.values[cell - 1] ?? 0, sketch.values[cell] ?? 0];
    const width = to - from;
    const [f0, f1] = [(sketch.upTo[cell - 1] ?? 0) / sketch.rows, (sketch.below[cell] ?? 0) / sketch.rows];
    const [first, end] = [upTo[cell - 1] ?? 0, below[cell] ?? 0];
    const [g0, g1] = [first / rows, end / rows];
    if (f1 <= g0 || f0 >= g1) {
      // One function lies above the other throughout: the difference of the areas is the area of the difference.
      const between = (sketch.below[cell] ?? 0) - (sketch.upTo[cell - 1] ?? 0);
      let [reference, current] = [f0 * width, g0 * width];
      reference += (between * to - (sketch.sums[cell] ?? 0)) / sketch.rows;
      for (let i = first; i < end; i++) current += (to - (ascending[i] ?? 0)) / rows;
      distance += Math.abs(reference - current);
      continue;
    }
    let x = from;
    for (let i = first; i <= end; i++) {
      const next = i === end ? to : (ascending[i] ?? 0);
      const at = (value: number): number => f0 + ((f1 - f0) * (value - from)) / width;
      distance += area(at(x) - i / rows, at(next) - i / rows, next - x);
      x = next;
    }
    bound += width * (f1 - f0);
  }
  return { distance, bound };
}

/** The area between a straight line and nothing; its ends may lie on either side. */
function area(left: number, right: number, width: number): number {
  if (left * right >= 0) return (Math.abs(left + right) / 2) * width;
  return ((left * left + right * right) / (2 * Math.abs(left - right))) * width;
}
