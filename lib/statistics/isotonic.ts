import { type IsotonicCurve, MAX_KNOTS } from '../../contracts/finishing.ts';
import { descending } from './descending.ts';

interface Points {
  x: number[];
  y: number[];
}

/**
 * The rising curve nearest to the outcomes (isotonic regression by pool adjacent violators; for calibration Zadrozny and
 * Elkan 2002), with straight lines between its corners, as scikit-learn's `IsotonicRegression` has it: equal
 * probabilities are one point, corners on a level line are left out.
 *
 * More than {@link MAX_KNOTS} corners are thinned out, which moves the curve by less than 2 / (MAX_KNOTS - 2), that is
 * 0.002, and mostly by far less.
 *
 * @param outcomes 1 or 0, `[n]`
 * @param probabilities `[n]`, float32
 * @param weights how much each row counts, `[n]`
 */
export function fitIsotonic(
  outcomes: Uint8Array,
  probabilities: Float64Array,
  weights?: Float32Array,
): IsotonicCurve {
  const { x, y } = thinned(isotonicCorners(outcomes, probabilities, weights), MAX_KNOTS);
  return { x, y: y.map(Math.fround) };
}

/** All corners of the curve of {@link fitIsotonic}, as exact as numbers are. */
export const isotonicCorners = (
  outcomes: Uint8Array,
  probabilities: Float64Array,
  weights?: Float32Array,
): { x: number[]; y: number[] } => corners(pooled(outcomes, probabilities, weights));

/** Each distinct probability with the height of the curve there. */
function pooled(
  outcomes: Uint8Array,
  probabilities: Float64Array,
  weights: Float32Array | undefined,
): Points {
  const order = descending(probabilities);
  const x: number[] = [];
  /** Blocks of neighbours that share a height: sums, weights, and the place in `x` where they end. */
  const sums: number[] = [];
  const masses: number[] = [];
  const ends: number[] = [];
  const height = (block: number): number => (sums[block] ?? 0) / (masses[block] ?? 1);
  for (let i = order.length - 1; i >= 0; ) {
    const probability = probabilities[order[i] ?? 0] ?? 0;
    let [sum, mass] = [0, 0];
    for (; i >= 0 && probabilities[order[i] ?? 0] === probability; i--) {
      const weight = weights?.[order[i] ?? 0] ?? 1;
      sum += weight * (outcomes[order[i] ?? 0] ?? 0);
      mass += weight;
    }
    // Rows without weight say nothing, as scikit-learn has it.
    if (mass === 0) continue;
    x.push(probability);
    while (sums.length > 0 && height(sums.length - 1) >= sum / mass) {
      sum += sums.pop() ?? 0;
      mass += masses.pop() ?? 0;
      ends.pop();
    }
    sums.push(sum);
    masses.push(mass);
    ends.push(x.length);
  }
  const y = sums.flatMap((_, block) =>
    new Array<number>((ends[block] ?? 0) - (ends[block - 1] ?? 0)).fill(height(block)),
  );
  return { x, y };
}

/** The same curve without points in the middle of a level line. */
const corners = ({ x, y }: Points): Points =>
  kept({ x, y }, (i) => i === 0 || i === x.length - 1 || y[i] !== y[i - 1] || y[i] !== y[i + 1]);

/**
 * At most `most` of the points. From each one that is kept the next is the farthest that is no more than `step` higher
 * (or the very next one), so that the new line lies within `step` of the old one; any two such steps together climb more
 * than `step`, so that `2 / (most - 2)` is always enough. The smallest step that is enough is searched for.
 */
export function thinned(points: Points, most: number): Points {
  if (points.x.length <= most) return points;
  let [tooSmall, enough] = [0, 2 / (most - 2)];
  for (let halving = 0; halving < 30; halving++) {
    const step = (tooSmall + enough) / 2;
    if (strides(points.y, step).size <= most) enough = step;
    else tooSmall = step;
  }
  const places = strides(points.y, enough);
  return kept(points, (i) => places.has(i));
}

function strides(y: readonly number[], step: number): Set<number> {
  const places = new Set([0]);
  for (let from = 0; from < y.length - 1; ) {
    let to = from + 1;
    while (to + 1 < y.length && (y[to + 1] ?? 0) - (y[from] ?? 0) <= step) to++;
    places.add(to);
    from = to;
  }
  return places;
}

const kept = ({ x, y }: Points, keep: (place: number) => boolean): Points => ({
  x: x.filter((_, i) => keep(i)),
  y: y.filter((_, i) => keep(i)),
});
