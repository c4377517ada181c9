import { z } from 'zod';

/** A name that is safe as SQL identifier, folder and Temporal id part. */
export const identifier = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]{0,62}$/,
    'letters, digits and _; not starting with a digit; at most 63 characters',
  );

/** A file or a glob of files with the same columns. */
export const fileSource = z.strictObject({
  path: z
    .string()
    .min(1)
    .meta({ description: 'A file or glob. Relative to the spec file; the worker must allow its folder.' }),
  format: z
    .enum(['csv', 'parquet', 'jsonl'])
    .optional()
    .meta({ description: 'Found from the file name where it is left out.' }),
  delimiter: z.string().length(1).optional().meta({ description: 'CSV: detected where it is left out.' }),
  nullValues: z
    .array(z.string())
    .default(['', 'NA', 'NULL'])
    .meta({ description: 'CSV: texts that stand for a missing value.' }),
  types: z
    .record(z.string(), z.string().regex(/^[A-Za-z][A-Za-z0-9_ (),]*$/))
    .default({})
    .meta({
      description:
        'CSV: DuckDB types of columns, where detection would be wrong. Example: { tailnum: VARCHAR }',
    }),
  rowNumber: identifier
    .optional()
    .meta({ description: 'Adds a column of this name with the row number in file order, from 1.' }),
});
export type FileSource = z.infer<typeof fileSource>;

export const source = z.union([
  z
    .string()
    .min(1)
    .transform((path) => fileSource.parse({ path })),
  fileSource,
]);

/** Where the rows come from. With several sources, `sql` joins them into one table. */
export const dataSpec = z
  .strictObject({
    sources: z
      .record(identifier, source)
      .meta({ description: 'Each source by the name that SQL knows it by.' }),
    sql: z.string().min(1).optional().meta({
      description:
        'Exactly one SELECT over the sources, or the name of a .sql file that holds it (the client inlines it). Not needed with one source.',
    }),
    rowFilter: z
      .array(z.strictObject({ where: z.string().min(1), reason: z.string().min(1) }))
      .default([])
      .meta({
        description:
          'Rows for which `where` (an SQL condition) is true are set aside and counted under `reason`.',
      }),
  })
  .refine((data) => Object.keys(data.sources).length > 0, { error: 'at least one source', path: ['sources'] })
  .refine((data) => data.sql !== undefined || Object.keys(data.sources).length === 1, {
    error: 'with several sources, sql says how they are joined',
    path: ['sql'],
  });
export type DataSpec = z.infer<typeof dataSpec>;

/** The roles of columns. Columns that are not named are features. */
export const columnsSpec = z.strictObject({
  target: z.string().min(1).meta({ description: 'The column to predict.' }),
  positive: z.string().optional().meta({
    description:
      'binary: the class whose probability is given; by default the last in sort order (1, true, yes).',
  }),
  entity: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === 'string' ? [value] : value))
    .default([])
    .meta({ description: 'Columns that identify a row (for example flight_id); never features.' }),
  timestamp: z.string().optional().meta({
    description:
      'When the prediction would have been made; never a feature unless it is also named in features.',
  }),
  ignored: z
    .array(z.string())
    .default([])
    .meta({ description: 'Columns that are kept in the data but never used.' }),
  features: z
    .array(z.string())
    .min(1)
    .optional()
    .meta({ description: 'The feature columns; by default all that have no other role.' }),
});
export type ColumnsSpec = z.infer<typeof columnsSpec>;
