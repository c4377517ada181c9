import { z } from 'zod';
import { metricValues } from './evaluation-report.ts';
import { featureKind } from './spec/features.ts';

const count = z.number().int().nonnegative();
/** 64-bit numbers, little-endian, in base64: text of digits takes ten times as long to read. */
const packed = z.string();

/**
 * The distribution of a column of numbers or moments (epoch seconds): its values with their ranks. Of at most
 * `SKETCH_VALUES` different values all are kept, and what is computed from it is exact; of more, those in which the
 * column reaches 1/4000, 2/4000, … of its rows, with their exact ranks.
 */
export const numberSketch = z.strictObject({
  of: z.literal('numbers'),
  /** Rows with a value, and without. */
  rows: count,
  missing: count,
  /** `null` where no row has a value. */
  summary: z
    .strictObject({ min: z.number(), max: z.number(), mean: z.number(), deviation: z.number() })
    .nullable(),
  /** Whether every value is kept. */
  exact: z.boolean(),
  /** Ascending. */
  values: packed,
  /** Rows at or below each of the values. */
  upTo: packed,
  /** Rows below each of the values, and the sum of those between it and the one before; empty where `exact`. */
  below: packed,
  sums: packed,
  /** Quantile bins for PSI and Jensen-Shannon: where each ends, and its rows; the last one is open. */
  bins: z.array(z.strictObject({ end: z.number().nullable(), inclusive: z.boolean(), rows: count })),
});
export type NumberSketch = z.infer<typeof numberSketch>;

/** The values of a column of categories, the commonest first. */
export const categorySketch = z.strictObject({
  of: z.literal('categories'),
  rows: count,
  missing: count,
  names: z.array(z.string()),
  counts: z.array(count),
  /** Categories beyond the commonest 10,000, and their rows. */
  rest: z.strictObject({ names: count, rows: count }),
});
export type CategorySketch = z.infer<typeof categorySketch>;

const sketchedColumn = z.strictObject({
  name: z.string(),
  kind: featureKind,
  sketch: z.discriminatedUnion('of', [numberSketch, categorySketch]),
});
export type SketchedColumn = z.infer<typeof sketchedColumn>;

/** A principal component analysis of the features, and how well it gives rows of the reference back. */
export const reconstruction = z.strictObject({
  columns: z.array(
    z.strictObject({
      name: z.string(),
      /** What a missing number is taken for; `null` of categories, which are taken for the commonest. */
      fill: z.number().nullable(),
      mean: z.number(),
      scale: z.number(),
    }),
  ),
  /** Row by row, each as long as there are columns. */
  components: z.array(z.array(z.number())),
  /** Mean distance of a row from what the components give back: of all rows, and its deviation from row to row. */
  error: z.number(),
  rowDeviation: z.number(),
  /** The mean over chunks of so many rows, and the deviation from chunk to chunk. */
  chunkError: z.number(),
  chunkDeviation: z.number(),
  chunkRows: count,
  rows: count,
});
export type Reconstruction = z.infer<typeof reconstruction>;

/** Straight lines between the points; level beyond the first and the last. */
const curve = z.strictObject({ x: z.array(z.number()), y: z.array(z.number()) });
export type Curve = z.infer<typeof curve>;

/** What windows of predictions are held against: distributions, and no row. An artifact, one for each version. */
export const referenceProfile = z.strictObject({
  schemaVersion: z.literal(1),
  version: z.string(),
  /** What it was made of, in words. */
  words: z.string(),
  rows: count,
  /** Rows with answers, and with answers and truth. */
  answers: count,
  labels: count,
  features: z.array(sketchedColumn),
  /** `null` where fewer than two features are numbers or categories. */
  reconstruction: reconstruction.nullable(),
  outputs: z.array(sketchedColumn),
  label: sketchedColumn.nullable(),
  /** Of the rows with truth. */
  quality: metricValues,
  /** The answers in the parts that `monitoring.slices` names. */
  slices: z.array(
    z.strictObject({
      name: z.string(),
      rows: count,
      quality: metricValues,
      outputs: z.array(sketchedColumn),
    }),
  ),
  /**
   * Corrects probabilities before quality is estimated from them: binary one curve, multi-class one for each class;
   * `null` in it where the probabilities need none; `null` for a regression, or without labels of two classes.
   */
  calibration: z.array(curve.nullable()).nullable(),
});
export type ReferenceProfile = z.infer<typeof referenceProfile>;
