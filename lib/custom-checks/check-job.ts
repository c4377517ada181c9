import { z } from 'zod';

/** What the process of a custom check is told. */
export const checkJob = z.strictObject({
  /** The bundled module, a file in the scratch folder. */
  modulePath: z.string(),
  export: z.string(),
  /** A Parquet file, and the columns of it that the check sees. */
  tablePath: z.string(),
  columns: z.array(z.string()),
  rows: z.union([z.strictObject({ sample: z.number() }), z.strictObject({ chunks: z.number() })]),
  tableRows: z.number(),
});
export type CheckJob = z.infer<typeof checkJob>;

/** The verdict of a check on one frame, as its function returns it. */
export const checkVerdict = z.object({
  passed: z.boolean(),
  message: z.string().optional(),
  violations: z.number().int().nonnegative().optional(),
});

/** What the process answers. */
export const checkAnswer = z.discriminatedUnion('done', [
  z.strictObject({
    done: z.literal(true),
    passed: z.boolean(),
    message: z.string().max(300).nullable(),
    violations: z.number().int().nonnegative().nullable(),
    rows: z.number().int().nonnegative(),
  }),
  z.strictObject({ done: z.literal(false), problem: z.string().max(1000) }),
]);
export type CheckAnswer = z.infer<typeof checkAnswer>;
