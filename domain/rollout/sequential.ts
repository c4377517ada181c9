import type { Moments } from '../../contracts/rollout-evidence.ts';
import { logBeta } from '../log-gamma.ts';

/** Where a quantity lies, at every look at once with the probability that was asked for. */
export interface Interval {
  lower: number;
  upper: number;
}

/** Rows of each side below which nothing is said about a mean: the bound is one of large samples. */
export const LEAST_ROWS = 50;

/** Both parameters of the mixing beta distribution: Jeffreys' prior, which is as good for rare events as for common ones. */
const PRIOR = 0.5;

/**
 * A confidence sequence of a rate: the probability that the rate is ever outside, at any of all looks at a growing
 * sample, is at most `alpha`. Not asymptotic: it holds from the first trial on.
 *
 * The likelihood ratio of a beta mixture of rates against the rate `p` is a martingale if `p` is true, and by Ville's
 * inequality exceeds `1 / alpha` at any time with probability `alpha` at most; the interval is every `p` for which it
 * does not (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic
 * confidence sequences", Annals of Statistics 49(2), which calls it the beta-binomial mixture).
 *
 * @param successes from 0 to `trials`
 * @param alpha between 0 and 1
 * @example rateSequence(0, 1000, 0.005).upper // about 0.009
 */
export function rateSequence(successes: number, trials: number, alpha: number): Interval {
  if (trials === 0) return { lower: 0, upper: 1 };
  const failures = trials - successes;
  const mixture = logBeta(PRIOR + successes, PRIOR + failures) - logBeta(PRIOR, PRIOR);
  const threshold = -Math.log(alpha);
  const inside = (rate: number): boolean =>
    mixture - likelihood(successes, rate) - likelihood(failures, 1 - rate) < threshold;
  const observed = successes / trials;
  return {
    lower: successes === 0 ? 0 : crossing(observed, 0, inside),
    upper: failures === 0 ? 1 : crossing(observed, 1, inside),
  };
}

/** `count · log(rate)`, where nothing counted makes nothing of an impossible rate. */
const likelihood = (count: number, rate: number): number => (count === 0 ? 0 : count * Math.log(rate));

/** The last number inside between one that is inside and one that is not. */
function crossing(from: number, to: number, inside: (rate: number) => boolean): number {
  let [near, far] = [from, to];
  for (let i = 0; i < 200 && Math.abs(far - near) > 1e-9 * Math.min(near, 1 - near); i++) {
    const middle = (near + far) / 2;
    if (inside(middle)) near = middle;
    else far = middle;
  }
  // The side that is outside: the interval is never too small.
  return far;
}

/**
 * An asymptotic confidence sequence of a mean of any numbers with a finite variance: what the central limit theorem
 * says of one look, said of all looks from {@link LEAST_ROWS} on (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024,
 * "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52(6), arXiv
 * 2103.06476: the normal mixture after Robbins).
 *
 * @param alpha both sides together
 * @param tightestAt rows for which the interval is made as small as it can be; fixed before the first look
 * @returns everything below {@link LEAST_ROWS}
 */
export function meanSequence(rows: Moments, alpha: number, tightestAt: number): Interval {
  if (rows.count < LEAST_ROWS) return { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
  const variance = rows.m2 / (rows.count - 1) / rows.count;
  return around(rows.mean, margin(variance, rows.count, alpha, tightestAt));
}

/**
 * The same for the difference of two means, `a - b`, of rows that were dealt out at random: the sequence of the
 * average treatment effect of the same paper, counted in rows by half of the harmonic mean of both numbers.
 *
 * Each variance counts at least as much as that of all rows. It costs nothing where both are alike, and a side that
 * has not seen its rare large rows yet is not taken for certain.
 */
export function differenceSequence(a: Moments, b: Moments, alpha: number, tightestAt: number): Interval {
  if (Math.min(a.count, b.count) < LEAST_ROWS)
    return { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
  const pooled = (a.m2 + b.m2) / (a.count + b.count - 2);
  const varianceOf = ({ m2, count }: Moments): number => Math.max(m2 / (count - 1), pooled) / count;
  const rows = (a.count * b.count) / (a.count + b.count);
  return around(a.mean - b.mean, margin(varianceOf(a) + varianceOf(b), rows, alpha, tightestAt));
}

const around = (middle: number, half: number): Interval => ({ lower: middle - half, upper: middle + half });

/**
 * Half of the interval's length.
 *
 * @param variance of the estimate
 */
function margin(variance: number, rows: number, alpha: number, tightestAt: number): number {
  const evidence = -2 * Math.log(alpha);
  const scale = (rows * (evidence + Math.log(evidence + 1))) / tightestAt;
  return Math.sqrt(((2 * variance * (scale + 1)) / scale) * Math.log(Math.sqrt(scale + 1) / alpha));
}
