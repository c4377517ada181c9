import { z } from 'zod';

/** What a column's values are, by type. `other`: lists, structs, blobs, intervals, times of day; only counted. */
export const profileKind = z.enum(['number', 'text', 'boolean', 'moment', 'other']);
export type ProfileKind = z.infer<typeof profileKind>;

const count = z.number().int().nonnegative();
/** A number, or a moment as ISO 8601 in UTC. */
const bound = z.union([z.number(), z.string()]);

export const columnProfile = z.strictObject({
  name: z.string(),
  type: z.string().meta({ description: "DuckDB's type." }),
  kind: profileKind,
  values: count.meta({ description: 'Rows with a value; NaN of a number is none.' }),
  missing: count,
  distinct: z
    .strictObject({ count, exact: z.boolean() })
    .nullable()
    .meta({ description: 'Distinct values. Approximate ones (HyperLogLog) are off by a few per cent.' }),
  min: bound.nullable(),
  max: bound.nullable(),
  mean: z.number().nullable(),
  std: z.number().nullable().meta({ description: 'Of the sample (n − 1); of magnitudes up to 1e30.' }),
  zeros: count,
  negatives: count,
  infinite: count,
  whole: z.boolean().meta({ description: 'A number column whose type holds whole numbers only.' }),
  quantiles: z
    .record(z.string(), bound)
    .nullable()
    .meta({ description: 'By share, such as "0.5"; from the sampled rows.' }),
  lengths: z
    .strictObject({ min: count, mean: z.number(), max: count, empty: count })
    .nullable()
    .meta({ description: 'Characters of a text.' }),
  histogram: z
    .array(z.strictObject({ from: bound, to: bound, rows: count }))
    .meta({ description: 'Exact counts. Far outliers lie in the first and the last bin.' }),
  top: z
    .array(z.strictObject({ value: z.string(), rows: count }))
    .meta({ description: 'The commonest values, where there are at most 10,000 distinct ones.' }),
  constant: z.boolean(),
  unique: z.boolean().meta({ description: 'Every value occurs once; exact.' }),
  order: z
    .enum(['increasing', 'decreasing'])
    .nullable()
    .meta({ description: 'In file order, never turning back.' }),
  pattern: z
    .string()
    .nullable()
    .meta({ description: 'RE2 that every value matches, where a text has a fixed format.' }),
  looksLike: z
    .strictObject({ kind: z.enum(['number', 'moment']), share: z.number() })
    .nullable()
    .meta({ description: 'Sampled texts that can be read as a number or a moment.' }),
});
export type ColumnProfile = z.infer<typeof columnProfile>;

export const PROFILE_WARNINGS = [
  'empty',
  'constant',
  'mostly_missing',
  'likely_id',
  'high_cardinality',
  'mixed_types',
  'typed_as_text',
  'infinite',
  'correlated',
  'duplicate_rows',
] as const;
export const profileWarning = z.strictObject({
  kind: z.enum(PROFILE_WARNINGS),
  columns: z.array(z.string()),
  message: z.string(),
});
export type ProfileWarning = z.infer<typeof profileWarning>;

/**
 * What a table looks like. It holds values of the data (extremes, common values): an artifact, never a payload.
 */
export const tableProfile = z.strictObject({
  schemaVersion: z.literal(1),
  rows: count,
  sampledRows: count.meta({ description: 'Rows behind quantiles, patterns and correlations.' }),
  duplicates: count
    .nullable()
    .meta({ description: 'Rows that repeat an earlier one; null where not looked for.' }),
  columns: z.array(columnProfile),
  correlations: z
    .array(z.strictObject({ columns: z.tuple([z.string(), z.string()]), value: z.number() }))
    .meta({ description: "Pearson's, of the first number columns, strongest first." }),
  warnings: z.array(profileWarning),
});
export type TableProfile = z.infer<typeof tableProfile>;
