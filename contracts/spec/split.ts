import { z } from 'zod';

const moment = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?)?$/,
    'a date such as 2013-07-01 or a time such as 2013-07-01T00:00:00Z',
  )
  .meta({ description: 'UTC where no offset stands.' });

/** By time: each part is the rows with `timestamp` before its bound (and not before the previous one). */
export const timeSplit = z.strictObject({
  method: z.literal('time'),
  train: z.strictObject({ from: moment.optional(), before: moment }),
  validation: z.strictObject({ before: moment }),
  test: z.strictObject({ before: moment.optional() }).default({}),
});

/** By a hash of the entity (or of the whole row where there is none): the same row always falls into the same part. */
export const randomSplit = z.strictObject({
  method: z.literal('random'),
  validation: z.number().gt(0).lt(1).default(0.2),
  test: z.number().gt(0).lt(1).default(0.2),
});

export const splitSpec = z
  .discriminatedUnion('method', [timeSplit, randomSplit])
  .refine((split) => split.method !== 'random' || split.validation + split.test < 1, {
    error: 'validation and test together stay below 1',
  })
  .default({ method: 'random', validation: 0.2, test: 0.2 });
export type SplitSpec = z.infer<typeof splitSpec>;
