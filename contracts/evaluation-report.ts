import { z } from 'zod';
import { fairnessMeasure, metricName } from './spec/metrics.ts';

/** Finite metric values by name. */
export const metricValues = z.partialRecord(metricName, z.number());
export type MetricValues = z.infer<typeof metricValues>;

export const interval = z.strictObject({ low: z.number(), high: z.number() });
export type Interval = z.infer<typeof interval>;

/** Where values lie with the confidence that the spec states, by name. */
export const metricIntervals = z.partialRecord(metricName, interval);
export type MetricIntervals = z.infer<typeof metricIntervals>;

/** One-sided bounds for gates with a confidence of their own: above `low`, or below `high`, with that confidence. */
export const metricBound = z.strictObject({
  /** `test`: the value itself; else the value minus that of the champion or of the trivial baseline. */
  of: z.enum(['test', 'champion', 'baseline']),
  metric: metricName,
  /** Of the difference as a share of the other's value, where that was asked for. */
  share: z.literal(true).optional(),
  confidence: z.number(),
  low: z.number(),
  high: z.number(),
});
export type MetricBound = z.infer<typeof metricBound>;

/** Why a group of rows is not judged. */
export const insufficiency = z.enum(['few_rows', 'one_class']);
export type Insufficiency = z.infer<typeof insufficiency>;

/** A part of the test rows, judged by itself. */
export const sliceResult = z.strictObject({
  name: z.string().meta({ description: 'In words, for example "region = north and age in [18, 30)".' }),
  /** Of all test rows. */
  share: z.number().min(0).max(1),
  rows: z.number().int().nonnegative(),
  /** The metric that chooses and those that gates on slices ask for; empty where insufficient. */
  metrics: metricValues,
  /** Of the metrics, where they were drawn. */
  intervals: metricIntervals,
  mandatory: z.boolean(),
  insufficient: insufficiency.optional(),
  /** Of slices that were found: how they stand out. */
  found: z
    .strictObject({
      /** Mean loss of the rows inside and outside: log loss, or the absolute error of a regression. */
      loss: z.number(),
      lossOutside: z.number(),
      /** Difference of the two in units of their deviation (Chung et al. 2019). */
      effect: z.number(),
      /** Of Welch's one-sided test, corrected for all slices that were tried (Benjamini and Hochberg 1995). */
      p: z.number(),
    })
    .optional(),
});
export type SliceResult = z.infer<typeof sliceResult>;

/** Parts of the test rows. Of many slices those travel that do worst by a metric, and the largest. */
export const slicesResult = z.strictObject({
  declared: z.array(sliceResult),
  /** Declared slices in all, and how many of them have too few rows or one class. */
  total: z.number().int().nonnegative(),
  insufficient: z.number().int().nonnegative(),
  /** The worst first. */
  worst: z.array(sliceResult),
  /** How the worst ones were looked for; `null` where they were not. */
  search: z
    .strictObject({
      method: z.string(),
      /** Rows that were looked at, columns that made slices, slices that were tried. */
      rows: z.number().int().nonnegative(),
      features: z.number().int().nonnegative(),
      tried: z.number().int().nonnegative(),
    })
    .nullable(),
});
export type SlicesResult = z.infer<typeof slicesResult>;

export const NO_SLICES: SlicesResult = { declared: [], total: 0, insufficient: 0, worst: [], search: null };

/** Groups of one column, compared. */
export const fairnessResult = z.strictObject({
  column: z.string(),
  /** Finite values; one that cannot be had is left out. */
  measures: z.partialRecord(fairnessMeasure, z.number()),
  intervals: z.partialRecord(fairnessMeasure, interval),
  /** For each measure the groups with the smallest and the largest value. */
  extremes: z.partialRecord(fairnessMeasure, z.strictObject({ low: z.string(), high: z.string() })),
  /** Groups with enough rows, the largest first. */
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rows: z.number().int().positive(),
      /** Binary: share of rows with the positive answer, true and false positive rate; `null` where not defined. */
      selectionRate: z.number().nullable(),
      truePositiveRate: z.number().nullable(),
      falsePositiveRate: z.number().nullable(),
      accuracy: z.number().nullable(),
      /** Regression. */
      meanPrediction: z.number().nullable(),
      meanAbsoluteError: z.number().nullable(),
    }),
  ),
  /** Groups that are too small to be compared or named, and their rows. */
  insufficient: z.strictObject({
    groups: z.number().int().nonnegative(),
    rows: z.number().int().nonnegative(),
  }),
  /** By measure: groups with enough rows, but none of a class that one of its rates needs; they are not compared. */
  oneClass: z
    .partialRecord(
      fairnessMeasure,
      z.strictObject({ groups: z.number().int().positive(), rows: z.number().int().positive() }),
    )
    .optional(),
});
export type FairnessResult = z.infer<typeof fairnessResult>;

/** A metric after one feature at a time lost its values, or moved. */
export const robustnessResult = z.strictObject({
  robustness: z.enum(['missing', 'shift']),
  /** Standard deviations of a shift. */
  by: z.number(),
  metric: metricName,
  rows: z.number().int().nonnegative(),
  /** On the same rows as they are; `null` where it cannot be computed. */
  base: z.number().nullable(),
  /** The features that lose most first; a value is `null` where the metric cannot be computed. */
  features: z.array(
    z.strictObject({
      feature: z.string(),
      value: z.number().nullable(),
      /** By how much the metric became worse; below 0 where it became better. */
      loss: z.number().nullable(),
    }),
  ),
  /** Features that were changed, one at a time. */
  tried: z.number().int().nonnegative(),
});
export type RobustnessResult = z.infer<typeof robustnessResult>;

/** What the model takes. */
export const footprint = z.strictObject({
  /** Of the composed ONNX file. */
  modelBytes: z.number().int().nonnegative(),
  /** Milliseconds for one row, by ONNX Runtime with one thread; `null` where no gate asks. */
  latency: z
    .strictObject({
      rows: z.number().int().positive(),
      p50_ms: z.number(),
      p95_ms: z.number(),
      p99_ms: z.number(),
    })
    .nullable(),
});
export type Footprint = z.infer<typeof footprint>;

/** What stands behind the metrics of the test rows; an artifact, since classes are up to 1,000. */
export const evaluationDetails = z.strictObject({
  /** Binary: from which probability on the answer is the positive class. */
  threshold: z.number().nullable(),
  /** Of each class, in the order of the class names; binary too. Empty for a regression. */
  classes: z.array(
    z.strictObject({
      name: z.string(),
      precision: z.number(),
      recall: z.number(),
      f1: z.number(),
      /** Rows of the class. */
      support: z.number().int().nonnegative(),
      /** Percentile intervals by the bootstrap of the rows. */
      intervals: z.strictObject({ precision: interval, recall: interval, f1: interval }).optional(),
    }),
  ),
  /** Cells of the confusion matrix that hold rows: truth and answer as indices of `classes`. */
  confusion: z.array(
    z.strictObject({
      truth: z.number().int(),
      answer: z.number().int(),
      rows: z.number().int().positive(),
    }),
  ),
  /** Ten bins of equal width; those without rows are left out. */
  reliability: z.array(
    z.strictObject({ predicted: z.number(), observed: z.number(), rows: z.number().int().positive() }),
  ),
  /**
   * Binary: of the logistic regression of the truth on the log-odds (Cox 1958); 1 and 0 is calibrated. `null` where it
   * has no finite answer.
   */
  calibration: z.strictObject({ slope: z.number(), intercept: z.number() }).nullable(),
  /** Regression: of prediction minus truth. */
  residuals: z
    .strictObject({
      bias: z.number(),
      biasInterval: interval.optional(),
      standardDeviation: z.number(),
      quantiles: z.array(z.strictObject({ quantile: z.number(), value: z.number() })),
      pinball: z.array(
        z.strictObject({ quantile: z.number(), loss: z.number(), interval: interval.optional() }),
      ),
    })
    .nullable(),
});
export type EvaluationDetails = z.infer<typeof evaluationDetails>;
