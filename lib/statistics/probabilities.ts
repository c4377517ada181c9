import { PerennialError } from '../../contracts/errors.ts';

/** Float32 graphs round; a sum over 1,000 classes is off by 1e-5 at the most. */
const BEYOND = 1e-6;
const OFF = 1e-3;

/**
 * Refuses answers that are no probabilities. Scores of any other scale order the rows, so that a model of them would be
 * judged well by `roc_auc`, but they mean nothing to a threshold, a calibration or a caller.
 *
 * @param values row-major `[n, width]`; of one column only the range is looked at
 * @throws PerennialError `TrainerContract` where a value lies outside of 0 to 1, or a row does not sum to 1
 */
export function requireProbabilities(values: Float32Array | Float64Array, width: number): void {
  let outside = 0;
  let unequal = 0;
  for (let from = 0; from < values.length; from += width) {
    let sum = 0;
    let odd = false;
    for (let i = from; i < from + width; i++) {
      const value = values[i] ?? 0;
      odd ||= value < -BEYOND || value > 1 + BEYOND;
      sum += value;
    }
    if (odd) outside++;
    else if (width > 1 && Math.abs(sum - 1) > OFF) unequal++;
  }
  if (outside + unequal === 0) return;
  const rows = values.length / width;
  const what = [
    ...(outside > 0 ? [`values below 0 or above 1 in ${outside}`] : []),
    ...(unequal > 0 ? [`values that do not sum to 1 in ${unequal}`] : []),
  ];
  throw new PerennialError(
    'TrainerContract',
    `the model's answers are no probabilities: ${what.join(' and ')} of ${rows} rows; its graph must end in one probability for each class that sum to 1 (a softmax, or a sigmoid and one minus it), not in scores or logits`,
  );
}
