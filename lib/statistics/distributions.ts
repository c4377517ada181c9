import { logGamma } from '../../domain/log-gamma.ts';

const EPSILON = 1e-16;

/**
 * The probability that a chi-square variable is greater than `x`: the regularised upper incomplete gamma function
 * Q(dof / 2, x / 2), by its series below the mean and by Lentz's continued fraction above (Numerical Recipes, 6.2).
 *
 * @param dof degrees of freedom, at least 1
 * @example chiSquareSurvival(3.841458820694124, 1) // 0.05
 */
export function chiSquareSurvival(x: number, dof: number): number {
  if (x <= 0) return 1;
  const a = dof / 2;
  const half = x / 2;
  const front = Math.exp(a * Math.log(half) - half - logGamma(a));
  return half < a + 1 ? 1 - front * lowerSeries(a, half) : front * upperFraction(a, half);
}

function lowerSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let n = a + 1; term > sum * EPSILON; n++) {
    term *= x / n;
    sum += term;
  }
  return sum;
}

function upperFraction(a: number, x: number): number {
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let value = d;
  for (let i = 1; i < 100_000; i++) {
    const an = -i * (i - a);
    b += 2;
    d = 1 / nonZero(an * d + b, tiny);
    c = nonZero(b + an / c, tiny);
    const factor = d * c;
    value *= factor;
    if (Math.abs(factor - 1) < EPSILON * 4) break;
  }
  return value;
}

const nonZero = (value: number, tiny: number): number => (Math.abs(value) < tiny ? tiny : value);
