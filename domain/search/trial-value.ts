import type { MetricName } from '../../contracts/spec/evaluation.ts';
import type { TrialOutcome } from '../../contracts/trials.ts';

/**
 * What a trial is worth: the metric on the validation rows, or its mean over the folds.
 *
 * @returns `undefined` where a model was not trained to its end, or has no finite value
 */
export function trialValue(outcomes: readonly TrialOutcome[], metric: MetricName): number | undefined {
  const values = outcomes.map(({ validation }) => validation[metric]);
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0 || known.length < values.length) return undefined;
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
