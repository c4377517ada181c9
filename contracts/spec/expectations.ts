import { z } from 'zod';

const common = {
  severity: z
    .enum(['error', 'warn'])
    .default('error')
    .meta({ description: 'error stops the run; warn is recorded in the report.' }),
  maxShare: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .meta({ description: 'The share of violating rows that is still accepted, 0 to 1.' }),
};

/** One statement about the data that must hold. Row-wise ones count violating rows. */
export const expectation = z.discriminatedUnion('expect', [
  z.strictObject({ expect: z.literal('not_null'), column: z.string(), ...common }),
  z.strictObject({ expect: z.literal('unique'), columns: z.array(z.string()).min(1), ...common }),
  z
    .strictObject({
      expect: z.literal('range'),
      column: z.string(),
      min: z.number().optional(),
      max: z.number().optional(),
      ...common,
    })
    .refine((rule) => rule.min !== undefined || rule.max !== undefined, { error: 'min, max or both' }),
  z.strictObject({
    expect: z.literal('in_set'),
    column: z.string(),
    values: z.array(z.union([z.string(), z.number(), z.boolean()])).min(1),
    ...common,
  }),
  z.strictObject({
    expect: z.literal('regex'),
    column: z.string(),
    pattern: z.string().max(1000).meta({ description: 'RE2; the whole value must match.' }),
    ...common,
  }),
  z.strictObject({
    expect: z.literal('row_count'),
    min: z.number().int().nonnegative().default(1),
    max: z.number().int().positive().optional(),
    severity: common.severity,
  }),
]);
export type Expectation = z.infer<typeof expectation>;
