import { logBeta } from '../../domain/log-gamma.ts';

const STEPS = 500;
const TINY = 1e-300;

/** The continued fraction of the incomplete beta function, by Lentz's method (Numerical Recipes, 6.4). */
function betaFraction(x: number, a: number, b: number): number {
  const away = (value: number): number => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let h = d;
  for (let m = 1; m <= STEPS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    h *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return h;
}

/** The regularised incomplete beta function. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(-logBeta(a, b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

/**
 * The probability that Student's t is above a value.
 *
 * @param freedom degrees of freedom, at least 1; need not be whole
 */
export function studentTail(t: number, freedom: number): number {
  const half = incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
  return t >= 0 ? half : 1 - half;
}

/** Count, sum and sum of squares of some values: what a test of their mean needs. */
export interface Moments {
  count: number;
  sum: number;
  squares: number;
}

const meanOf = ({ count, sum }: Moments): number => sum / count;
/** Without bias; of values that are all alike rounding could make it negative. */
const varianceOf = ({ count, sum, squares }: Moments): number =>
  Math.max(0, (squares - sum ** 2 / count) / (count - 1));

/** How the mean of some values compares with that of others. */
export interface MeanDifference {
  /** Difference of the means in units of the deviation: √2 (m₁ − m₂) / √(s₁² + s₂²). */
  effect: number;
  /** Of Welch's test that the first is not the larger one, one-sided. */
  p: number;
}

/** Welch's test (1947) of two means, with the effect size of Chung et al. (2019). Each has at least two values. */
export function welch(first: Moments, second: Moments): MeanDifference {
  const difference = meanOf(first) - meanOf(second);
  const [v1, v2] = [varianceOf(first), varianceOf(second)];
  const [e1, e2] = [v1 / first.count, v2 / second.count];
  if (e1 + e2 === 0)
    return {
      effect: difference > 0 ? Number.MAX_VALUE : 0,
      p: difference > 0 ? 0 : difference < 0 ? 1 : 0.5,
    };
  const freedom = (e1 + e2) ** 2 / (e1 ** 2 / (first.count - 1) + e2 ** 2 / (second.count - 1));
  return {
    effect: (Math.SQRT2 * difference) / Math.sqrt(v1 + v2),
    p: studentTail(difference / Math.sqrt(e1 + e2), freedom),
  };
}

/**
 * Probabilities corrected for the number of tests, so that of those below a level that share is wrong in expectation
 * (Benjamini and Hochberg 1995); in the same order.
 */
export function benjaminiHochberg(ps: Float64Array): Float64Array {
  const order = Array.from(ps.keys()).sort((a, b) => (ps[b] ?? 1) - (ps[a] ?? 1));
  const corrected = new Float64Array(ps.length);
  let least = 1;
  for (const [above, index] of order.entries()) {
    least = Math.min(least, ((ps[index] ?? 1) * ps.length) / (ps.length - above));
    corrected[index] = least;
  }
  return corrected;
}
