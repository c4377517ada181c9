import { z } from 'zod';
import { identifier, source } from './sources.ts';

/** Each is read in turn and travels with its columns. */
const MAX_SOURCES = 50;

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
      .max(100)
      .default([])
      .meta({
        description:
          'Rows for which `where` (an SQL condition) is true are set aside and counted under `reason`.',
      }),
  })
  .refine((data) => Object.keys(data.sources).length > 0, { error: 'at least one source', path: ['sources'] })
  .refine((data) => Object.keys(data.sources).length <= MAX_SOURCES, {
    error: `at most ${MAX_SOURCES} sources; one source may be a glob of many files`,
    path: ['sources'],
  })
  .refine((data) => data.sql !== undefined || Object.keys(data.sources).length === 1, {
    error: 'with several sources, sql says how they are joined',
    path: ['sql'],
  })
  .superRefine((data, context) => {
    for (const [name, { incremental, rowNumber }] of Object.entries(data.sources))
      if (incremental !== undefined && rowNumber !== undefined)
        context.addIssue({
          code: 'custom',
          message:
            'cannot be used with incremental: a row whose number changes would be taken again; leave one of them out',
          path: ['sources', name, 'rowNumber'],
        });
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
