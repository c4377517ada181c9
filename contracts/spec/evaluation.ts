import { z } from 'zod';
import { gate } from './gates.ts';
import { metricName } from './metrics.ts';
import { fairnessSpec, sliceSpec, worstSlicesSpec } from './slices.ts';

export { type Gate, gate } from './gates.ts';
export { lowerIsBetter, METRICS, type MetricName, metricName } from './metrics.ts';

export const evaluationSpec = z.strictObject({
  metric: metricName.optional().meta({
    description:
      'Chooses among the candidates, on the validation split. Default: roc_auc, log_loss or root_mean_squared_error by task.',
  }),
  quantile: z.number().gt(0).lt(1).default(0.5).meta({
    description: 'Regression: the quantile that mean_pinball_loss judges.',
  }),
  confidence: z.number().min(0.5).max(0.999).default(0.95).meta({
    description: 'Of the intervals that are given with the metrics of the test split.',
  }),
  resamples: z.number().int().min(0).max(10_000).default(1_000).meta({
    description:
      'Samples that the bootstrap draws from the test rows for these intervals, with seed training.seed; 0: no intervals.',
  }),
  slices: z.array(sliceSpec).max(30).default([]).meta({
    description: 'Parts of the test rows that are judged by themselves.',
  }),
  worstSlices: z
    .union([z.literal(false), worstSlicesSpec])
    .default({ minRows: 100, features: 2, alpha: 0.05, limit: 10 })
    .meta({ description: 'How slices that do badly are looked for; false: not at all.' }),
  fairness: fairnessSpec.optional().meta({ description: 'Groups whose answers and errors are compared.' }),
  gates: z.array(gate).max(50).optional().meta({
    description:
      'Default: better than the baseline, and not worse than the champion by more than 0.005 with 95 % confidence; of metrics that have no upper end, such as log_loss and root_mean_squared_error, or without resamples: not worse at all.',
  }),
});
export type EvaluationSpec = z.infer<typeof evaluationSpec>;
