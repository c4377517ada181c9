import { z } from 'zod';
import { datePart, featureKind } from '../../contracts/spec/features.ts';

const raw = {
  /** The column's name in the data and in requests; also the name of the graph's input. */
  name: z.string().min(1),
  /** The DuckDB type that the column had in the training rows. */
  sqlType: z.string(),
  /** How many training rows had no value. */
  missing: z.number().int().nonnegative(),
  /** Whether the matrix has a 0/1 column that tells missing values. */
  indicator: z.boolean(),
};

/** `value = (clip(missing ? fill : x) - offset) / scale`. All numbers are float32 values. */
export const fittedNumber = z.strictObject({
  fill: z.number(),
  low: z.number().optional(),
  high: z.number().optional(),
  offset: z.number(),
  scale: z.number().refine((value) => value !== 0, 'not 0'),
});
export type FittedNumber = z.infer<typeof fittedNumber>;

const numericPlan = z.strictObject({
  kind: z.enum(['numeric', 'boolean']),
  ...raw,
  /** Left out where the column was constant in training. */
  value: fittedNumber.optional(),
});

/** The parts whose sine and cosine a plan may hold. */
export const cyclicPart = z.enum(['month', 'weekday', 'hour']);
export type CyclicPart = z.infer<typeof cyclicPart>;

const datetimePlan = z.strictObject({
  kind: z.literal('datetime'),
  ...raw,
  /** Parts as numbers. A missing date is a missing part: its `fill`. */
  parts: z.array(z.strictObject({ part: datePart, value: fittedNumber })),
  /** Parts as sine and cosine. A missing date gives 0 for both: the middle of the circle. */
  cycles: z.array(cyclicPart),
});

/** Categories in ascending order of their UTF-16 code units; never a missing word. */
const categories = z.array(z.string());

/**
 * `onehot`: a 0/1 column per category, then `other` (where training had rows of other categories), then the
 * indicator. A category never seen is 1 in `other`, or 0 everywhere where there is no such column. A missing value
 * is 1 in the indicator, or like a category never seen where training had none missing.
 * `ordinal`: the place in the list from 0; other −1; missing −2, or −1 where training had none.
 * `frequency`: the share of the training rows; other 0; missing the share of missing rows in training.
 */
export const fittedCategories = z.discriminatedUnion('encoding', [
  z.strictObject({ encoding: z.literal('onehot'), categories, other: z.boolean() }),
  z.strictObject({ encoding: z.literal('ordinal'), categories, missingCode: z.number() }),
  z.strictObject({
    encoding: z.literal('frequency'),
    categories,
    shares: z.array(z.number()),
    missingShare: z.number(),
  }),
]);
export type FittedCategories = z.infer<typeof fittedCategories>;

const categoricalPlan = z.strictObject({
  kind: z.literal('categorical'),
  ...raw,
  /** Left out where the column says nothing: one category only. */
  value: fittedCategories.optional(),
});

/** One raw column with what was learned about it. */
export const columnPlan = z.discriminatedUnion('kind', [numericPlan, datetimePlan, categoricalPlan]);
export type ColumnPlan = z.infer<typeof columnPlan>;
export type NumericPlan = z.infer<typeof numericPlan>;
export type DatetimePlan = z.infer<typeof datetimePlan>;
export type CategoricalPlan = z.infer<typeof categoricalPlan>;

/** One column of the float32 matrix that trainers see. */
export const matrixColumn = z.strictObject({
  /** Unique, for people: `distance`, `distance is missing`, `carrier=AA`, `departure.hour`. */
  name: z.string(),
  kind: z.enum([
    'number',
    'missing',
    'boolean',
    'category',
    'other',
    'ordinal',
    'frequency',
    'datepart',
    'sine',
    'cosine',
  ]),
  /** The raw column that it is made from. */
  source: z.string(),
});
export type MatrixColumn = z.infer<typeof matrixColumn>;

/**
 * Features as fitted on training rows: all that is needed to build `preprocess.onnx`, as JSON.
 * Part of `pipeline.json` in the model directory.
 */
export const featurePlan = z.strictObject({
  schemaVersion: z.literal(1),
  /** Training rows that the plan was fitted on. */
  rows: z.number().int().positive(),
  /** The model's inputs in order. A column that says nothing stays an input, so that requests stay valid. */
  columns: z.array(columnPlan).min(1),
  /** The matrix columns in order. */
  matrix: z.array(matrixColumn).min(1),
  /** What a person should know: columns left out and why. */
  notes: z.array(z.string()),
});
export type FeaturePlan = z.infer<typeof featurePlan>;

/** A column of a table or a request, before any fitting. */
export const rawColumn = z.strictObject({ name: z.string().min(1), kind: featureKind });
export type RawColumn = z.infer<typeof rawColumn>;

/**
 * Texts that mean "no value" in a categorical column, in fitting, in training and inside the served graph:
 * MLflow's scoring server passes Python's `None` and `NaN` in text columns as these words.
 */
export const MISSING_WORDS = ['', 'None', 'nan', 'NaN', '<NA>'] as const;

/**
 * Dates outside of `[from, before)` (epoch seconds; years 1 to 9999) count as missing: they are typing errors or
 * sentinels, and outside of what SQL engines and calendars agree on.
 */
export const DATE_RANGE = { from: -62_135_596_800, before: 253_402_300_800 } as const;
