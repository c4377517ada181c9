import { z } from 'zod';

/** Corners that a rising curve has at the most: more are thinned out. */
export const MAX_KNOTS = 1_000;

const probability = z.number().min(0).max(1);
const rises = (values: readonly number[], strictly: boolean): boolean =>
  values.every(
    (value, i) => i === 0 || value > (values[i - 1] ?? 0) || (!strictly && value === values[i - 1]),
  );

/** `1 / (1 + exp(-(a * logit(p) + b)))`; `a = 1, b = 0` changes nothing. */
const plattCurve = z.strictObject({ a: z.number(), b: z.number() });
export type PlattCurve = z.infer<typeof plattCurve>;

/** Straight lines between the points `(x, y)`; below the first and above the last it is level. All are float32. */
const isotonicCurve = z
  .strictObject({
    x: z.array(probability).min(1).max(MAX_KNOTS),
    y: z.array(probability).min(1).max(MAX_KNOTS),
  })
  .refine(({ x, y }) => x.length === y.length && rises(x, true) && rises(y, false), {
    error: 'x rises from point to point, y never falls, and there are as many of each',
  });
export type IsotonicCurve = z.infer<typeof isotonicCurve>;

/** What may be said about a finished model's parts to those who read the report. */
const notes = z.array(z.string());

/**
 * Corrects a model's probabilities, in the graph and in TypeScript alike. Binary: one curve, of the probability of the
 * positive class. Multi-class: a curve for each class in the order of the class names, after which the probabilities are
 * divided by their sum.
 */
export const calibration = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('platt'), curves: z.array(plattCurve).min(1), notes }),
  z.strictObject({ method: z.literal('isotonic'), curves: z.array(isotonicCurve).min(1), notes }),
]);
export type Calibration = z.infer<typeof calibration>;

/**
 * How the answers of several models become one. `average`: weights are divided by their sum; without them all count the
 * same. `stack`: the weighted sum of the members' predictions (regression), of their log-odds (binary: then the logistic
 * function) or of their log-probabilities (multi-class: then softmax), plus an intercept: one, or one for each class.
 */
export const combination = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('average'),
    weights: z.array(z.number().nonnegative()).min(1).optional(),
  }),
  z.strictObject({
    method: z.literal('stack'),
    weights: z.array(z.number()).min(1),
    intercepts: z.array(z.number()).min(1),
  }),
]);
export type Combination = z.infer<typeof combination>;
export type Stack = Extract<Combination, { method: 'stack' }>;

/** The probability from which on the label is the positive class, and why it is that one. */
export const chosenThreshold = z.strictObject({
  /** A float32, as the graph compares float32. */
  threshold: probability,
  /** Of the metric, or of the cost per row, on the rows that it was chosen on; `null` where none was worked out. */
  value: z.number().nullable(),
  what: z.string().meta({ description: 'What it was chosen for, for example "the highest f1".' }),
  notes,
});
export type ChosenThreshold = z.infer<typeof chosenThreshold>;
