import { z } from 'zod';
import { metricName } from './spec/evaluation.ts';

/** What attributions and base values are counted in. */
export const attributionUnit = z.enum(['log_odds', 'probability', 'target', 'score']).meta({
  description:
    'log_odds: natural logarithm of p / (1 - p), for several classes before the softmax; probability; target: the unit of the target; score: what the trees add up to, before the graph transforms it.',
});
export type AttributionUnit = z.infer<typeof attributionUnit>;

/** tree: exact (TreeSHAP); sampled: Shapley values estimated from permutations, with error bounds. */
export const attributionMethod = z.enum(['tree', 'sampled']);
export type AttributionMethod = z.infer<typeof attributionMethod>;

/** How much one output of one prediction owes to each raw column: `base` and all contributions add up to `answer`. */
export const attribution = z.strictObject({
  /** The model's output, as the signature names it. */
  output: z.string(),
  /** What the model says about the row, in the unit of the attribution. */
  answer: z.number(),
  /** What it says on average. */
  base: z.number(),
  contributions: z.array(
    z.strictObject({
      column: z.string(),
      value: z.number(),
      /** Half of the width of the interval around `value` with the stated confidence; 0 where the value is exact. */
      error: z.number().nonnegative(),
    }),
  ),
});
export type Attribution = z.infer<typeof attribution>;

/** How much worse the metric becomes where a column's values are shuffled: mean and standard deviation of the repeats. */
export const columnImportance = z.strictObject({ column: z.string(), mean: z.number(), sd: z.number() });
export type ColumnImportance = z.infer<typeof columnImportance>;

/** A cell of a column as it may be shown. */
const cell = z.union([z.number(), z.string(), z.null()]);

/** How the answers change with one column, all else as it is: means over rows. */
export const dependence = z.strictObject({
  column: z.string(),
  /** `share`: a personal number or date. */
  kind: z.enum(['number', 'date', 'category', 'share']),
  /**
   * Values of the column, ascending or by frequency; none is a single row's own. Of personal columns there are none:
   * categories have numbers in place of names, numbers and dates the share of the rows below them, 0 to 1.
   */
  grid: z.array(cell),
  /** For each output of the model in order, the mean answer at each value of the grid. */
  means: z.array(z.array(z.number())),
  /** The same among the rows of a slice, for the first output. */
  slices: z.array(z.strictObject({ slice: z.string(), rows: z.number().int(), means: z.array(z.number()) })),
  /** Single rows, first output (individual conditional expectation); none where rows are of people. */
  rows: z.array(z.array(z.number())),
});
export type Dependence = z.infer<typeof dependence>;

/** One row, explained, without its values: reports go where data may not. Only where rows are not of people. */
export const explainedRow = z.strictObject({
  /** Why this one was chosen, for example "the highest answer". */
  why: z.string(),
  attribution,
});
export type ExplainedRow = z.infer<typeof explainedRow>;

/** What explains a model: `explanation.json`. */
export const explanationReport = z.strictObject({
  schemaVersion: z.literal(1),
  metric: metricName,
  seed: z.number().int(),
  /** Rows of the test split that were looked at, and of how many. */
  rows: z.number().int().nonnegative(),
  of: z.number().int().nonnegative(),
  repeats: z.number().int().nonnegative(),
  /** The metric on these rows. */
  value: z.number(),
  /** The most important column first. */
  importance: z.array(columnImportance),
  /** The same on the rows of slices. */
  slices: z.array(
    z.strictObject({
      slice: z.string(),
      rows: z.number().int(),
      value: z.number(),
      importance: z.array(columnImportance),
    }),
  ),
  /** The model's numeric outputs, which `dependence` has means of. */
  outputs: z.array(z.string()),
  dependence: z.array(dependence),
  attributions: z.strictObject({
    method: attributionMethod,
    unit: attributionUnit,
    /** Of the errors of sampled ones. */
    confidence: z.number(),
    rows: z.number().int(),
    /** Mean of the absolute contributions over these rows and all outputs; the largest first. */
    columns: z.array(z.strictObject({ column: z.string(), mean: z.number() })),
    /** The largest difference between what the model answers and what base plus contributions make its answer. */
    largestGap: z.number(),
    examples: z.array(explainedRow),
  }),
  notes: z.array(z.string()),
});
export type ExplanationReport = z.infer<typeof explanationReport>;

/**
 * What an explainer of single predictions needs beside the model: no row of anybody. With the rows of
 * `EvaluateOutput.samples` as background it makes an explainer anywhere (`createExplainer`).
 */
export const explainerFile = z.strictObject({
  schemaVersion: z.literal(1),
  method: attributionMethod,
  /** For each column of the feature matrix, which raw inputs it is made of (places in the signature). */
  sources: z.array(z.array(z.number().int().nonnegative())),
  /** For each node of the trees, how many training rows came through; empty where the model is no tree ensemble. */
  covers: z.array(z.number().nonnegative()),
});
export type ExplainerFile = z.infer<typeof explainerFile>;
