import type { PlattCurve } from '../../contracts/finishing.ts';
import { logistic, logOdds, softplus } from './log-odds.ts';
import { type Curvature, minimum } from './newton.ts';

/**
 * Platt's scaling (1999) of probabilities, on their log-odds, fitted by Newton's method to the smoothed targets of Lin,
 * Lin and Weng (2007), which keep the curve finite where the classes are perfectly separated.
 *
 * Where all probabilities are the same nothing tells a slope: the curve is shifted only.
 *
 * @param outcomes 1 or 0, `[n]`; both occur
 * @param probabilities `[n]`
 * @param weights how much each row counts, `[n]`
 */
export function fitPlatt(
  outcomes: Uint8Array,
  probabilities: Float64Array,
  weights?: Float32Array,
): PlattCurve {
  const n = outcomes.length;
  const odds = probabilities.map(logOdds);
  const counts = [0, 0];
  for (let i = 0; i < n; i++) {
    const outcome = outcomes[i] ?? 0;
    counts[outcome] = (counts[outcome] ?? 0) + (weights?.[i] ?? 1);
  }
  const [negative = 0, positive = 0] = counts;
  const targets = [1 / (negative + 2), (positive + 1) / (positive + 2)];
  const first = odds[0] ?? 0;
  if (odds.every((value) => value === first)) {
    const share = (positive * (targets[1] ?? 0) + negative * (targets[0] ?? 0)) / (positive + negative);
    return { a: 1, b: logOdds(share) - first };
  }
  const evaluate = ([a = 0, b = 0]: Float64Array): Curvature => {
    let value = 0;
    let [slopeA, slopeB, aa, ab, bb] = [0, 0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const f = odds[i] ?? 0;
      const weight = weights?.[i] ?? 1;
      const target = targets[outcomes[i] ?? 0] ?? 0;
      const z = a * f + b;
      const p = logistic(z);
      const residual = weight * (p - target);
      const bend = weight * p * (1 - p);
      value += weight * (softplus(z) - target * z);
      slopeA += residual * f;
      slopeB += residual;
      aa += bend * f * f;
      ab += bend * f;
      bb += bend;
    }
    return {
      value,
      gradient: Float64Array.of(slopeA, slopeB),
      hessian: Float64Array.of(aa + 1e-12, ab, ab, bb + 1e-12),
    };
  };
  const start = Float64Array.of(0, Math.log((positive + 1) / (negative + 1)));
  const [a = 1, b = 0] = minimum(start, evaluate).at;
  return { a, b };
}
