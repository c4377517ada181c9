import { z } from 'zod';
import { duration } from './durations.ts';
import { postgresSource, s3Source } from './spec/sources.ts';

/** How the table of answers is written. */
export const BATCH_FORMATS = ['parquet', 'csv', 'jsonl'] as const;
export const batchFormat = z.enum(BATCH_FORMATS);
export type BatchFormat = z.infer<typeof batchFormat>;

/** What a name of a file says of its format; a name that ends with `/` is a folder, which gets a Parquet file. */
export const formatOfName = (name: string): BatchFormat | undefined =>
  name.endsWith('/') ? 'parquet' : BATCH_FORMATS.find((format) => name.toLowerCase().endsWith(`.${format}`));

const NO_FORMAT =
  'expected a name that ends with .parquet, .csv or .jsonl, or a folder that ends with /; or set format';

const written = {
  format: batchFormat.optional().meta({ description: 'Found from the name where it is left out.' }),
  overwrite: z
    .boolean()
    .default(false)
    .meta({ description: 'Replaces what is there. Otherwise a name that is taken is an error.' }),
};

/** A file, or a folder (`…/`) that gets one file for each batch, named by its id. */
const fileOutput = z.strictObject({
  path: z
    .string()
    .min(1)
    .max(4_000)
    .refine((path) => !path.includes('\0') && !path.includes('${'), { error: 'a plain path' })
    .meta({
      description: 'A file, or a folder that ends with /; within PERENNIAL_OUTPUT_ROOTS of the worker.',
    }),
  ...written,
});

/** An object, or a prefix (`…/`) that gets one object for each batch. */
const s3Output = s3Source.pick({ endpoint: true, region: true, pathStyle: true, credentials: true }).extend({
  s3: z
    .string()
    .max(1_100)
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,62}\/[^*?]*$/, 's3://bucket/key, or s3://bucket/prefix/')
    .meta({ description: 's3://bucket/key, or a prefix that ends with /; the worker must allow its host.' }),
  ...written,
});
export type S3Output = z.infer<typeof s3Output>;

const postgresPlace = postgresSource.shape.postgres.shape;

/** A table, which is created where it is missing and appended to where it is there. */
const postgresOutput = z.strictObject({
  postgres: z.strictObject({
    url: postgresPlace.url,
    password: postgresPlace.password,
    table: z
      .string()
      .regex(/^[^.\0]+(\.[^.\0]+)?$/, 'table or schema.table')
      .meta({ description: 'table or schema.table' }),
    timeout: duration.default('6h').meta({ description: 'After this the server gives the transaction up.' }),
  }),
});
export type PostgresOutput = z.infer<typeof postgresOutput>;

const anyOutput = z.union([fileOutput, s3Output, postgresOutput]);
/** Where the answers go. */
export type BatchOutput = z.output<typeof anyOutput>;

/** As people write it: an object, or only a path or an S3 address. */
export const batchOutput = z
  .union([
    z
      .string()
      .min(1)
      .transform((text, context): BatchOutput => {
        if (/^(postgres(ql)?|https?):\/\//i.test(text)) {
          context.addIssue({
            code: 'custom',
            message: 'a file, a folder or s3://bucket/key; a table is written { postgres: { url, table } }',
          });
          return z.NEVER;
        }
        const parsed = anyOutput.safeParse(/^s3:\/\//i.test(text) ? { s3: text } : { path: text });
        if (parsed.success) return parsed.data;
        context.addIssue({ code: 'custom', message: 'not a path or an s3://bucket/key' });
        return z.NEVER;
      }),
    anyOutput,
  ])
  .superRefine((output, context) => {
    const name = 'path' in output ? output.path : 's3' in output ? output.s3 : undefined;
    const format = 'postgres' in output ? undefined : output.format;
    if (name !== undefined && format === undefined && !formatOfName(name))
      context.addIssue({ code: 'custom', message: NO_FORMAT });
  });

/** What was written, without secrets. */
export const writtenOutput = z.strictObject({
  kind: z.enum(['file', 's3', 'postgres']),
  /** Path, `s3://…`, or host, database and table. */
  destination: z.string(),
  format: batchFormat.nullable(),
  rows: z.number().int().nonnegative(),
  /** Of the file; `null` for a table. */
  bytes: z.number().int().nonnegative().nullable(),
  sha256: z.string().nullable(),
});
export type WrittenOutput = z.infer<typeof writtenOutput>;
