import { z } from 'zod';
import { datePart, featureKind, featurePreset } from '../../contracts/spec/features.ts';

const column = {
  /** The column's name; of a raw one, also in requests and of the graph's input. */
  name: z.string().min(1),
  /** How many training rows had no value. */
  missing: z.number().int().nonnegative(),
  /** Whether the matrix has a 0/1 column that tells missing values. */
  indicator: z.boolean(),
  /** The DuckDB type that a raw column had in the training rows; derived columns have none. */
  sqlType: z.string().optional(),
  /** How a derived column is made of two raw ones. */
  derived: z
    .strictObject({
      op: z.enum(['ratio', 'product', 'cross']),
      of: z.tuple([z.string(), z.string()]),
    })
    .optional(),
};

/**
 * `value = (log(clip(missing ? fill : x)) - offset) / scale` with `log(x) = sign(x) · ln(1 + |x|)`, or the bin of
 * `clip(missing ? fill : x)`: how many edges are not above it. All numbers are float32 values.
 */
export const fittedNumber = z.strictObject({
  /** `null`: a missing value stays missing (NaN). */
  fill: z.number().nullable(),
  low: z.number().optional(),
  high: z.number().optional(),
  log: z.boolean(),
  offset: z.number(),
  scale: z.number().refine((value) => value !== 0, 'not 0'),
  bins: z
    .strictObject({ edges: z.array(z.number()).min(1), encoding: z.enum(['ordinal', 'onehot']) })
    .optional(),
});
export type FittedNumber = z.infer<typeof fittedNumber>;

const numericPlan = z.strictObject({
  kind: z.enum(['numeric', 'boolean']),
  ...column,
  /** Left out where the column was constant in training. */
  value: fittedNumber.optional(),
});

/** The parts whose sine and cosine a plan may hold. */
export const cyclicPart = z.enum(['month', 'weekday', 'hour']);
export type CyclicPart = z.infer<typeof cyclicPart>;

const datetimePlan = z.strictObject({
  kind: z.literal('datetime'),
  ...column,
  /** Parts as numbers. A missing date is a missing part: its `fill`. */
  parts: z.array(z.strictObject({ part: datePart, value: fittedNumber })),
  /** Parts as sine and cosine. A missing date gives 0 for both: the middle of the circle. */
  cycles: z.array(cyclicPart),
});

/** Categories in ascending order of their UTF-16 code units; never a missing word. */
const categories = z.array(z.string());

/** Smoothed means of the target. */
export const targetMeans = z.strictObject({
  /** Of each category, in their order. */
  values: z.array(z.number()),
  /** Of all rows: for a category that is not in the list, and for a missing one where training had none. */
  prior: z.number(),
  missing: z.number(),
});
export type TargetMeans = z.infer<typeof targetMeans>;

/**
 * `onehot`: a 0/1 column per category, then `other` (where training had rows of other categories), then the
 * indicator. A category never seen is 1 in `other`, or 0 everywhere where there is no such column. A missing value
 * is 1 in the indicator, or like a category never seen where training had none missing.
 * `ordinal`: the place in the list from 0; other −1; missing −2, or −1 where training had none.
 * `frequency`: the share of the training rows; other 0; missing the share of missing rows in training.
 * `target`: the smoothed mean of the target, for several classes one column each.
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
  z.strictObject({
    encoding: z.literal('target'),
    categories,
    /** One per class of a multi-class target (named by it), else one (named ""). */
    means: z.array(z.strictObject({ of: z.string(), ...targetMeans.shape })).min(1),
  }),
]);
export type FittedCategories = z.infer<typeof fittedCategories>;

const categoricalPlan = z.strictObject({
  kind: z.literal('categorical'),
  ...column,
  /** Left out where the column says nothing: one category only. */
  value: fittedCategories.optional(),
});

/** Terms in ascending order; a term is a word, or two words with a space between. `idf` belongs to each. */
export const vocabulary = z.strictObject({ terms: z.array(z.string()), idf: z.array(z.number()) });
export type Vocabulary = z.infer<typeof vocabulary>;

const textPlan = z.strictObject({
  kind: z.literal('text'),
  ...column,
  /** Left out where no word is in enough training rows. */
  value: vocabulary.optional(),
});

/** One column with what was learned about it. */
export const columnPlan = z.discriminatedUnion('kind', [
  numericPlan,
  datetimePlan,
  categoricalPlan,
  textPlan,
]);
export type ColumnPlan = z.infer<typeof columnPlan>;
export type NumericPlan = z.infer<typeof numericPlan>;
export type DatetimePlan = z.infer<typeof datetimePlan>;
export type CategoricalPlan = z.infer<typeof categoricalPlan>;
export type TextPlan = z.infer<typeof textPlan>;

/** One column of the float32 matrix that trainers see. */
export const matrixColumn = z.strictObject({
  /** Unique, for people: `distance`, `distance (log)`, `distance is missing`, `carrier=AA`, `departure.hour`. */
  name: z.string(),
  kind: z.enum([
    'number',
    'bin',
    'missing',
    'boolean',
    'category',
    'other',
    'ordinal',
    'frequency',
    'target',
    'datepart',
    'sine',
    'cosine',
    'term',
  ]),
  /** The column that it is made from. */
  source: z.string(),
});
export type MatrixColumn = z.infer<typeof matrixColumn>;

/**
 * Features as fitted on training rows: all that is needed to build `preprocess.onnx`, as JSON.
 * Part of `pipeline.json` in the model directory.
 */
export const featurePlan = z.strictObject({
  schemaVersion: z.literal(2),
  preset: featurePreset,
  /** Training rows that the plan was fitted on. */
  rows: z.number().int().positive(),
  /** The model's inputs in order. A column that says nothing stays an input, so that requests stay valid. */
  columns: z.array(columnPlan).min(1),
  /** Columns that the graph makes of two inputs. */
  derived: z.array(columnPlan),
  /** The matrix columns in order. */
  matrix: z.array(matrixColumn).min(1),
  /** What a person should know: columns left out and why, what was fitted out of fold. */
  notes: z.array(z.string()),
});
export type FeaturePlan = z.infer<typeof featurePlan>;

/**
 * Target means without a row's own fold, by which the training rows are encoded: for each column that is target
 * encoded, by name, and each of its means, one table per fold. Not part of the served model.
 */
export interface FoldMeans {
  folds: number;
  columns: ReadonlyMap<string, readonly (readonly TargetMeans[])[]>;
}

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
