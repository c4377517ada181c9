import type { MetricValues } from '../contracts/reports.ts';
import { type MetricName, metricName } from '../contracts/spec/evaluation.ts';

/** What the folds of a cross-validation say together. */
export interface CombinedMetrics {
  /** Of the folds that have the metric. */
  mean: MetricValues;
  /** Of the sample (n - 1); missing where only one fold has the metric. */
  standardDeviation: MetricValues;
  /** Which metrics are missing in which folds, counted from 1. */
  notes: string[];
}

/**
 * Mean and standard deviation of each metric over folds, each fold counting the same, as scikit-learn's
 * `cross_validate`. A metric that cannot be computed in a fold, for example since its rows are of one class, is taken
 * from the others; where fewer than half of the folds have it, it is missing.
 *
 * @param folds the metrics of each fold
 * @example combineFolds([{ roc_auc: 0.8 }, { roc_auc: 0.9 }]).mean // { roc_auc: 0.85 }
 */
export function combineFolds(folds: readonly MetricValues[]): CombinedMetrics {
  const combined: CombinedMetrics = { mean: {}, standardDeviation: {}, notes: [] };
  for (const metric of metricName.options.filter((name) => folds.some((fold) => isKnown(fold[name])))) {
    const values = folds.map((fold) => fold[metric]);
    const known = values.filter(isKnown);
    const lacking = values.flatMap((value, fold) => (isKnown(value) ? [] : [fold + 1]));
    const isMissing = known.length * 2 < folds.length;
    if (lacking.length > 0) combined.notes.push(note(metric, lacking, folds.length, isMissing));
    if (isMissing) continue;
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    combined.mean[metric] = mean;
    if (known.length < 2) continue;
    const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    combined.standardDeviation[metric] = Math.sqrt(squares / (known.length - 1));
  }
  return combined;
}

const isKnown = (value: number | undefined): value is number => value !== undefined && Number.isFinite(value);

const note = (metric: MetricName, lacking: readonly number[], folds: number, isMissing: boolean): string =>
  `${metric}: fold(s) ${lacking.join(', ')} of ${folds} have no value; ${isMissing ? 'fewer than half of them have one, so there is none' : 'mean of the others'}.`;
