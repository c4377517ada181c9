import { z } from 'zod';
import { featureKind } from './spec/features.ts';

/** A column to compare, and as what: numbers and moments by rank, categories and booleans by value. */
export const comparedColumn = z.strictObject({ name: z.string(), kind: featureKind });
export type ComparedColumn = z.infer<typeof comparedColumn>;

const sides = z.strictObject({ reference: z.number(), current: z.number() });

/**
 * How a column's distribution differs between two tables. A statistic is null where it does not apply, or where a
 * side has no values. `bins` and the names of new categories hold values of the data: they belong into artifacts, not
 * into payloads or logs.
 */
export const columnComparison = z.strictObject({
  name: z.string(),
  kind: featureKind,
  values: sides.meta({ description: 'Rows with a value.' }),
  missing: sides.meta({ description: 'Share of rows without a value, 0 to 1.' }),
  psi: z.number().nullable().meta({ description: 'Population stability index.' }),
  jensenShannon: z.number().nullable().meta({ description: 'Jensen-Shannon distance, base 2, 0 to 1.' }),
  ks: z
    .strictObject({ statistic: z.number(), pValue: z.number() })
    .nullable()
    .meta({ description: 'Two-sample Kolmogorov-Smirnov; numbers and moments.' }),
  chiSquare: z
    .strictObject({ statistic: z.number(), dof: z.number(), pValue: z.number(), cramersV: z.number() })
    .nullable()
    .meta({ description: 'Chi-square test of homogeneity; categories and booleans.' }),
  newCategories: z
    .strictObject({
      count: z.number().int(),
      rows: z.number().int(),
      share: z.number().meta({ description: 'Of the rows with a value.' }),
      names: z.array(z.string()).meta({ description: 'The commonest, at most 20.' }),
    })
    .nullable(),
  bins: z.array(z.strictObject({ label: z.string(), reference: z.number(), current: z.number() })),
});
export type ColumnComparison = z.infer<typeof columnComparison>;
