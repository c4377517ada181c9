import { z } from 'zod';

const count = z.number().int().nonnegative();

/**
 * What a detector of concept drift remembers between two windows, as JSON. It is bounded: ADWIN keeps at most six
 * buckets of each of 48 sizes, the others a few numbers.
 */
export const adwinState = z.strictObject({
  detector: z.literal('adwin'),
  /** Errors since the beginning, or since the last change. */
  seen: count,
  /** Sum, and sum of squared deviations from the mean, of the errors in the window. */
  total: z.number(),
  deviations: z.number(),
  /** Row `i` has buckets of `2 ** i` errors, the oldest first; the newest errors are in row 0. */
  rows: z.array(z.array(z.strictObject({ total: z.number(), deviations: z.number() })).max(6)).max(48),
});
export type AdwinState = z.infer<typeof adwinState>;

export const ddmState = z.strictObject({
  detector: z.literal('ddm'),
  seen: count,
  /** Share of wrong answers so far. */
  mean: z.number().min(0).max(1),
  /** Share and its deviation when their sum was least; `null` before the detector is warm. */
  least: z.strictObject({ mean: z.number(), deviation: z.number() }).nullable(),
  /** Answers and wrong ones since the warning began; `null` where there is none. */
  warning: z.strictObject({ seen: count, wrong: z.number().nonnegative() }).nullable(),
});
export type DdmState = z.infer<typeof ddmState>;

export const pageHinkleyState = z.strictObject({
  detector: z.literal('page-hinkley'),
  seen: count,
  mean: z.number(),
  /** Cumulated deviations from the mean, and the least that they were. */
  sum: z.number(),
  least: z.number(),
  /** Errors and their sum since `sum` was least; there the change began. */
  since: z.strictObject({ seen: count, total: z.number() }),
});
export type PageHinkleyState = z.infer<typeof pageHinkleyState>;

export const detectorState = z.discriminatedUnion('detector', [adwinState, ddmState, pageHinkleyState]);
export type DetectorState = z.infer<typeof detectorState>;
