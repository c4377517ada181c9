import { z } from 'zod';

/** Metrics by task, in the names of scikit-learn. Those with `_loss`, `brier`, `error` are better when lower. */
export const METRICS = {
  binary: [
    'roc_auc',
    'average_precision',
    'log_loss',
    'brier_score',
    'accuracy',
    'balanced_accuracy',
    'precision',
    'recall',
    'f1',
    'matthews_corrcoef',
    'expected_calibration_error',
  ],
  multiclass: [
    'roc_auc',
    'log_loss',
    'brier_score',
    'accuracy',
    'balanced_accuracy',
    'macro_precision',
    'macro_recall',
    'macro_f1',
    'weighted_precision',
    'weighted_recall',
    'weighted_f1',
    'matthews_corrcoef',
    'expected_calibration_error',
  ],
  regression: [
    'root_mean_squared_error',
    'mean_absolute_error',
    'mean_absolute_percentage_error',
    'r2',
    'median_absolute_error',
    'mean_pinball_loss',
  ],
} as const;

export const metricName = z.enum([
  ...new Set([...METRICS.binary, ...METRICS.multiclass, ...METRICS.regression]),
]);
export type MetricName = z.infer<typeof metricName>;

const LOWER_IS_BETTER: ReadonlySet<MetricName> = new Set<MetricName>([
  'log_loss',
  'brier_score',
  'expected_calibration_error',
  'root_mean_squared_error',
  'mean_absolute_error',
  'mean_absolute_percentage_error',
  'median_absolute_error',
  'mean_pinball_loss',
]);

/** Whether a smaller value of the metric is the better one. */
export const lowerIsBetter = (metric: MetricName): boolean => LOWER_IS_BETTER.has(metric);

const UNBOUNDED: ReadonlySet<MetricName> = new Set<MetricName>([
  'log_loss',
  'root_mean_squared_error',
  'mean_absolute_error',
  'mean_absolute_percentage_error',
  'r2',
  'median_absolute_error',
  'mean_pinball_loss',
]);

/** Whether a difference of the metric means the same on all data: it lies between 0 (or -1) and 1. */
export const isBounded = (metric: MetricName): boolean => !UNBOUNDED.has(metric);

/** Whether a value below 0 is possible: then a share of it says nothing. */
export const mayBeNegative = (metric: MetricName): boolean =>
  metric === 'r2' || metric === 'matthews_corrcoef';

/**
 * Differences between groups of people (or of anything), by task. Those of parity and odds are Fairlearn's: the rate of
 * the positive answer at the threshold, and the larger difference of true and false positive rates; a ratio is the
 * smallest by the largest. The others are the largest value of a group minus the smallest.
 */
export const FAIRNESS_MEASURES = {
  binary: [
    'demographic_parity_difference',
    'demographic_parity_ratio',
    'equalized_odds_difference',
    'equalized_odds_ratio',
    'accuracy_difference',
  ],
  multiclass: ['accuracy_difference'],
  regression: ['mean_prediction_difference', 'mean_absolute_error_difference'],
} as const;

export const fairnessMeasure = z.enum([
  ...new Set([...FAIRNESS_MEASURES.binary, ...FAIRNESS_MEASURES.multiclass, ...FAIRNESS_MEASURES.regression]),
]);
export type FairnessMeasure = z.infer<typeof fairnessMeasure>;

/** Ratios are better when higher, differences when lower. */
export const isRatio = (measure: FairnessMeasure): boolean => measure.endsWith('_ratio');
