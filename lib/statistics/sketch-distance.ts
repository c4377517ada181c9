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
  ranks: Ranks,
  ascending: Float32Array | Float64Array,
): { distance: number; bound: number } {
  const rows = ascending.length;
  const last = sketch.values.length - 1;
  // Below the reference’s least value and above its greatest one nothing can cross.
  let distance = areaWithin(ascending, 0, ranks.below[0] ?? 0, sketch.values[0] ?? 0) / rows;
  distance -= areaWithin(ascending, ranks.upTo[last] ?? 0, rows, sketch.values[last] ?? 0) / rows;
  let bound = 0;
  for (let i = 1; i <= last; i++) {
    const cell = {
      from: sketch.values[i - 1] ?? 0,
      to: sketch.values[i] ?? 0,
      lower: (sketch.upTo[i - 1] ?? 0) / sketch.rows,
      upper: (sketch.below[i] ?? 0) / sketch.rows,
      first: ranks.upTo[i - 1] ?? 0,
      end: ranks.below[i] ?? 0,
    };
    if (cell.upper <= cell.first / rows || cell.lower >= cell.end / rows) {
      // One function lies above the other throughout: the difference of the areas is the area of the difference.
      const between = (sketch.below[i] ?? 0) - (sketch.upTo[i - 1] ?? 0);
      const reference = (between * cell.to - (sketch.sums[i] ?? 0)) / sketch.rows;
      const current = areaWithin(ascending, cell.first, cell.end, cell.to) / rows;
      distance += Math.abs((cell.lower - cell.first / rows) * (cell.to - cell.from) + reference - current);
    } else {
      distance += crossedArea(cell, ascending);
      bound += (cell.to - cell.from) * (cell.upper - cell.lower);
    }
  }
  return { distance, bound };
}

/** How far values lie below one, added up. */
function areaWithin(ascending: Float32Array | Float64Array, first: number, end: number, to: number): number {
  let area = 0;
  for (let i = first; i < end; i++) area += to - (ascending[i] ?? 0);
  return area;
}

/** A stretch between two values of the sketch: the reference’s distribution function at its ends, the values in it. */
interface Cell {
  from: number;
  to: number;
  lower: number;
  upper: number;
  first: number;
  end: number;
}

/** The area between a distribution function that climbs evenly (or not at all) and that of the values. */
function crossedArea(cell: Cell, ascending: Float32Array | Float64Array): number {
  const rows = ascending.length;
  const slope = (cell.upper - cell.lower) / (cell.to - cell.from);
  let area = 0;
  let x = cell.from;
  for (let i = cell.first; i <= cell.end; i++) {
    const next = i === cell.end ? cell.to : (ascending[i] ?? 0);
    const left = cell.lower + slope * (x - cell.from) - i / rows;
    const right = cell.lower + slope * (next - cell.from) - i / rows;
    // A triangle on either side where they cross.
    area +=
      left * right >= 0
        ? (Math.abs(left + right) / 2) * (next - x)
        : ((left * left + right * right) / (2 * Math.abs(left - right))) * (next - x);
    x = next;
  }
  return area;
}
