import { z } from 'zod';
import { explainerFile, explanationReport } from '../../contracts/explanation.ts';
import { modelSignature } from '../../contracts/serving.ts';
import { metricName } from '../../contracts/spec/evaluation.ts';
import { task } from '../../contracts/spec/task.ts';

/** What an explaining process is asked to do. Paths are of files that the caller keeps until the answer. */
export const explainJob = z.strictObject({
  modelPath: z.string(),
  signature: modelSignature,
  problem: z.strictObject({
    task,
    classNames: z.array(z.string()),
    positiveClass: z.string().nullable(),
    quantile: z.number(),
    baseline: z.strictObject({ classShares: z.array(z.number()), mean: z.number().nullable() }),
  }),
  metric: metricName,
  /** Binary: from which probability on the answer is the positive class. */
  threshold: z.number().optional(),
  target: z.string(),
  seed: z.number().int(),
  confidence: z.number(),
  /** Rows of the test split in an order that does not matter, at most {@link MOST_ROWS}, and of how many. */
  testPath: z.string(),
  testRows: z.number().int(),
  /** Raw rows that stand for what is usual: `SampleSet` as JSON. */
  samplesPath: z.string(),
  /** The matrix that the model was trained on, `.npy`; says how often each branch is taken. */
  matrixPath: z.string(),
  /** See `columnSources`. */
  sources: z.array(z.array(z.number().int())),
  /** Columns whose values are not shown. */
  personal: z.array(z.string()),
  /** Whether single rows may be shown. */
  rowsMayBeShown: z.boolean(),
  /** Declared slices: a name and the SQL condition over the test rows. */
  slices: z.array(z.strictObject({ name: z.string(), where: z.string() })),
});
export type ExplainJob = z.infer<typeof explainJob>;

/** Rows that a job may have. */
export const MOST_ROWS = 2_000;

export const explanation = z.strictObject({
  report: explanationReport,
  explainer: explainerFile,
  plots: z.array(z.strictObject({ name: z.string(), title: z.string(), svg: z.string() })),
});
/** What it answers. */
export type Explanation = z.infer<typeof explanation>;

export const explainAnswer = z.union([
  z.strictObject({ explained: explanation }),
  z.strictObject({ failed: z.string(), code: z.string(), retryable: z.boolean() }),
]);
export type ExplainAnswer = z.infer<typeof explainAnswer>;
