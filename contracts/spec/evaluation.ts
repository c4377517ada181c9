import { z } from 'zod';

/** Metrics by task, in the names of scikit-learn. Those with `_loss`, `brier`, `error` are better when lower. */
export const METRICS = {
  binary: [
    'roc_auc',
    'average_precision',
    'log_loss',
    'brier_score',
    'accuracy',
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
]);

/** Whether a smaller value of the metric is the better one. */
export const lowerIsBetter = (metric: MetricName): boolean => LOWER_IS_BETTER.has(metric);

/** One condition on the test split that the winner must fulfil. */
export const gate = z
  .strictObject({
    metric: metricName,
    min: z.number().optional().meta({ description: 'The value must be at least this.' }),
    max: z.number().optional().meta({ description: 'The value must be at most this.' }),
    betterThan: z.enum(['baseline', 'champion']).optional().meta({
      description:
        'baseline: a model that always predicts the base rate (mean, most frequent class) of the training rows. champion: the version in production, judged on the same test rows; passes where there is none.',
    }),
    by: z.number().default(0).meta({
      description:
        'With betterThan: the least improvement, in units of the metric. A negative one allows to be a little worse.',
    }),
    maxGap: z.number().nonnegative().optional().meta({
      description: 'The largest amount by which the test split may be worse than the training split.',
    }),
  })
  .refine(
    (value) =>
      [value.min, value.max, value.betterThan, value.maxGap].filter((part) => part !== undefined).length >= 1,
    {
      error: 'one of min, max, betterThan, maxGap',
    },
  );
export type Gate = z.infer<typeof gate>;

export const evaluationSpec = z.strictObject({
  metric: metricName.optional().meta({
    description:
      'Chooses among the candidates, on the validation split. Default: roc_auc, log_loss or root_mean_squared_error by task.',
  }),
  confidence: z.number().min(0.5).max(0.999).default(0.95).meta({
    description: 'Of the intervals that are given with the metrics of the test split.',
  }),
  resamples: z.number().int().min(0).max(10_000).default(1_000).meta({
    description:
      'Samples that the bootstrap draws from the test rows for these intervals, with seed training.seed; 0: no intervals.',
  }),
  gates: z
    .array(gate)
    .max(50)
    .optional()
    .meta({ description: 'Default: better than the baseline, and not worse than the champion.' }),
});
export type EvaluationSpec = z.infer<typeof evaluationSpec>;
