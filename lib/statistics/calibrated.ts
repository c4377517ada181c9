import type { Calibration, IsotonicCurve } from '../../contracts/finishing.ts';
import { logistic, logOdds } from './log-odds.ts';

/**
 * Calibrated probabilities: what the graph of `composeModel` with the same calibration answers, rounded in the same
 * places. NaN stays NaN.
 *
 * @param answers row-major, a column for each curve; taken as float32
 * @returns float32 numbers of the same shape
 * @example applyCalibration({ method: 'platt', curves: [{ a: 2, b: 0 }], notes: [] }, Float64Array.of(0.5)); // [0.5]
 */
export function applyCalibration(
  calibration: Calibration,
  answers: Float32Array | Float64Array,
): Float64Array {
  const curves =
    calibration.method === 'platt'
      ? calibration.curves.map(
          ({ a, b }) =>
            (p: number) =>
              Math.fround(logistic(a * logOdds(p) + b)),
        )
      : calibration.curves.map((curve) => (p: number) => heightAt(curve, p));
  const width = curves.length;
  const corrected = Float64Array.from(answers, (answer, i) => {
    const curve = curves[i % width];
    return curve ? curve(Math.fround(answer)) : Number.NaN;
  });
  return width === 1 ? corrected : shares(corrected, width);
}

/** The height of the curve at a probability, in float32 steps as the graph makes them. */
function heightAt({ x, y }: IsotonicCurve, probability: number): number {
  // The first corner at or after the probability.
  let [low, high] = [0, x.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (probability <= (x[middle] ?? 1)) high = middle;
    else low = middle + 1;
  }
  if (Number.isNaN(probability)) return Number.NaN;
  const right = y[low];
  const left = y[low - 1];
  if (left === undefined || right === undefined) return left ?? right ?? Number.NaN;
  const start = x[low - 1] ?? 0;
  const part = Math.fround(Math.fround(probability - start) / Math.fround((x[low] ?? 0) - start));
  return Math.fround(left + Math.fround(part * Math.fround(right - left)));
}

/** Each row divided by its sum; a row of zeros becomes the same for all, as scikit-learn has it. */
function shares(values: Float64Array, width: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let row = 0; row < values.length; row += width) {
    let sum = 0;
    for (let k = 0; k < width; k++) sum = Math.fround(sum + (values[row + k] ?? 0));
    for (let k = 0; k < width; k++)
      result[row + k] = Math.fround(sum === 0 ? 1 / width : (values[row + k] ?? 0) / sum);
  }
  return result;
}
