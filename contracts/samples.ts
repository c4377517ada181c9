import { z } from 'zod';

/** Raw rows with the answers that a model gave to them in the evaluation. */
export const sampleSet = z.strictObject({
  /** Records by input column; a missing value is `null`, a date epoch seconds. */
  rows: z.array(z.record(z.string(), z.union([z.number(), z.string(), z.null()]))),
  /** The numeric outputs by name, in the order of `rows`. */
  expected: z.record(z.string(), z.array(z.number())),
});
export type SampleSet = z.infer<typeof sampleSet>;
