import { z } from 'zod';

const severity = z
  .enum(['error', 'warn'])
  .default('error')
  .meta({ description: 'error stops the run; warn is recorded in the report.' });

/**
 * The table's distributions against those of the data that the champion was trained on. Without a champion there is
 * nothing to compare with, and the rule holds.
 *
 * The limits are effect sizes by default. A p-value says whether a difference is due to chance: with a million rows
 * every difference, however small, is not, so a limit on it would stop every run. Ask for one with small tables only.
 */
export const distributionRule = z.strictObject({
  expect: z.literal('distribution'),
  name: z.string().min(1).max(80).optional().meta({ description: 'How reports call the rule.' }),
  against: z.literal('champion').default('champion'),
  columns: z.array(z.string().min(1)).min(1).optional().meta({
    description: 'By default all features and the target.',
  }),
  psi: z.strictObject({ max: z.number().positive() }).default({ max: 0.2 }).meta({
    description: 'Population stability index of each column; below 0.1 stable, above 0.2 a large change.',
  }),
  jensenShannon: z
    .strictObject({ max: z.number().positive().max(1) })
    .optional()
    .meta({ description: 'Jensen-Shannon distance, base 2, 0 to 1.' }),
  ks: z
    .union([
      z.strictObject({ max: z.number().positive().max(1) }),
      z.strictObject({ minPValue: z.number().gt(0).lt(1) }),
    ])
    .optional()
    .meta({
      description: 'Kolmogorov-Smirnov, numbers and dates: the greatest statistic, or the least p-value.',
    }),
  chiSquare: z
    .union([
      z.strictObject({ maxCramersV: z.number().positive().max(1) }),
      z.strictObject({ minPValue: z.number().gt(0).lt(1) }),
    ])
    .optional()
    .meta({
      description: "Chi-square, categories and booleans: the greatest Cramér's V, or the least p-value.",
    }),
  newCategories: z
    .strictObject({ maxShare: z.number().min(0).max(1) })
    .default({ maxShare: 0.01 })
    .meta({ description: 'Share of rows with a category that the champion never saw.' }),
  missing: z
    .strictObject({ maxIncrease: z.number().min(0).max(1) })
    .default({ maxIncrease: 0.1 })
    .meta({ description: 'By how much the share of missing values may grow.' }),
  severity,
});
export type DistributionRule = z.output<typeof distributionRule>;
