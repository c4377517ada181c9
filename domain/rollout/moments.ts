import type { Moments } from '../../contracts/rollout-evidence.ts';

export const emptyMoments = (): Moments => ({ count: 0, mean: 0, m2: 0, min: null, max: null });

/**
 * Counts a number in (Welford 1962). Changes the moments: it is called for every row.
 *
 * @param value finite
 * @returns the same moments
 * @throws RangeError where the value is not finite: one such row would take all others with it
 */
export function addValue(moments: Moments, value: number): Moments {
  if (!Number.isFinite(value))
    throw new RangeError(
      'a value of a metric is not a finite number; leave the row out, or bound it, before it is counted',
    );
  const before = value - moments.mean;
  moments.count += 1;
  moments.mean += before / moments.count;
  moments.m2 += before * (value - moments.mean);
  moments.min = moments.min === null ? value : Math.min(moments.min, value);
  moments.max = moments.max === null ? value : Math.max(moments.max, value);
  return moments;
}

/** Both together (Chan, Golub & LeVeque 1979). */
export function mergedMoments(a: Moments, b: Moments): Moments {
  if (a.count === 0) return { ...b };
  if (b.count === 0) return { ...a };
  const count = a.count + b.count;
  const apart = b.mean - a.mean;
  return {
    count,
    mean: a.mean + (apart * b.count) / count,
    m2: a.m2 + b.m2 + (apart * apart * a.count * b.count) / count,
    min: extreme(a.min, b.min, Math.min),
    max: extreme(a.max, b.max, Math.max),
  };
}

const extreme = (
  a: number | null,
  b: number | null,
  choose: (a: number, b: number) => number,
): number | null => (a === null || b === null ? (a ?? b) : choose(a, b));
