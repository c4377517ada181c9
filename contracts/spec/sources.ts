import { z } from 'zod';
import { duration } from '../durations.ts';

/** A name that is safe as SQL identifier, folder and Temporal id part. */
export const identifier = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]{0,62}$/,
    'letters, digits and _; not starting with a digit; at most 63 characters',
  );

const UNITS = { KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 } as const;

/** A number of bytes, also written `500MB` or `20GB` (powers of ten). */
const byteSize = z
  .union([
    z.number().int().positive(),
    z
      .string()
      .regex(/^[1-9]\d{0,5}(\.\d+)? ?(KB|MB|GB|TB)$/, 'a size such as 500MB or 20GB')
      .transform((text) => {
        const unit = text.slice(-2);
        return Math.round(Number.parseFloat(text) * (unit in UNITS ? UNITS[unit as keyof typeof UNITS] : 1));
      }),
  ])
  .meta({ description: 'A size such as 500MB or 20GB, or a number of bytes.' });

const oneCharacter = z.string().length(1, 'exactly one character');
const COLUMN = z.string().min(1);

const watermark = z.strictObject({
  watermark: COLUMN.meta({
    description: 'Column that only grows, such as a time of change or a serial key.',
  }),
  lateness: duration.optional().meta({
    description: 'Rows that come later than this behind the watermark are counted as late.',
  }),
});
const newFiles = z.strictObject({
  newFiles: z.literal(true).meta({ description: 'Only files that no earlier run has read.' }),
});

/** What every source has. */
const shared = {
  rowNumber: identifier
    .optional()
    .meta({ description: 'Adds a column of this name with the row number in reading order, from 1.' }),
  maxBytes: byteSize.optional().meta({
    description: 'Most bytes that are read, unpacked ones included; more are an error. Default 200GB.',
  }),
  incremental: watermark.optional().meta({ description: 'Only rows above what earlier runs have read.' }),
  pin: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'the SHA-256 of an earlier snapshot: 64 lower-case hexadecimal digits')
    .optional()
    .meta({ description: 'SHA-256 of an earlier snapshot, which is taken instead of the source.' }),
};

/** How the bytes of a file are read. */
const tableOptions = {
  format: z
    .enum(['csv', 'parquet', 'jsonl'])
    .optional()
    .meta({ description: 'Found from the file name where it is left out.' }),
  delimiter: oneCharacter.optional().meta({ description: 'CSV: detected where it is left out.' }),
  quote: oneCharacter.optional().meta({ description: 'CSV: detected where it is left out.' }),
  escape: oneCharacter.optional().meta({ description: 'CSV: detected where it is left out.' }),
  header: z
    .boolean()
    .default(true)
    .meta({ description: 'CSV: whether the first line names the columns; otherwise column0, column1, …' }),
  encoding: z.enum(['utf-8', 'utf-16', 'latin-1']).optional().meta({
    description:
      'CSV, JSON Lines: UTF-8, or UTF-16 where a byte order mark says so. latin-1 (windows-1252) has to be named.',
  }),
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
  hivePartitioning: z
    .union([z.boolean(), z.literal('auto')])
    .default('auto')
    .meta({
      description:
        'Folders such as year=2024 become columns; auto: where a glob goes through them in all files alike.',
    }),
  ...shared,
  incremental: z.union([watermark, newFiles]).optional().meta({
    description: 'Only rows above a watermark, or only files, that no earlier run has read.',
  }),
};

/** A file or a glob of files with the same columns. */
export const fileSource = z.strictObject({
  path: z
    .string()
    .min(1)
    .meta({ description: 'A file or glob. Relative to the spec file; the worker must allow its folder.' }),
  ...tableOptions,
});
export type FileSource = z.infer<typeof fileSource>;

const REFERENCE = /\$\{env:[A-Z0-9_]+\}/g;
/** `user:password@` whose password stands there in the open. */
const holdsPassword = (url: string): boolean =>
  /^[a-z0-9+]+:\/\/[^/?#@]*:[^/?#@]+@/i.test(url.replaceAll(REFERENCE, '')) ||
  /[?&]password=[^&]/i.test(url.replaceAll(REFERENCE, ''));

/** A file behind a web address. */
export const httpSource = z.strictObject({
  url: z
    .string()
    .regex(/^(https?:\/\/[^\s/]|\$\{env:)/i, 'an address that begins with https:// or http://')
    .refine((url) => !/^https?:\/\/[^/?#]*@/i.test(url), {
      error:
        'a name or password in an address would be stored with the run; use headers: { authorization: "Bearer ${env:PERENNIAL_SECRET_…}" }',
    })
    .meta({ description: 'https:// or http://; the worker must allow its host (PERENNIAL_SOURCE_HOSTS).' }),
  headers: z
    .record(
      z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'a header name'),
      z.string().regex(/^[^\r\n\0]*$/, 'no line breaks'),
    )
    .default({})
    .meta({ description: 'Sent to this origin only. Secrets as ${env:PERENNIAL_SECRET_…}.' }),
  ...tableOptions,
  incremental: shared.incremental,
});
export type HttpSource = z.infer<typeof httpSource>;

/** Objects of an S3-compatible store. */
export const s3Source = z.strictObject({
  s3: z
    .string()
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,62}\/.+$/, 's3://bucket/key, where * and ** may stand in the key')
    .meta({ description: 's3://bucket/key or a glob: * within a folder, ** over folders.' }),
  endpoint: z
    .string()
    .regex(/^https?:\/\/[^\s/?#@]+\/?$/, 'an address such as https://minio.example.org:9000')
    .optional()
    .meta({ description: 'Address of a store other than AWS; the worker must allow its host.' }),
  region: z
    .string()
    .regex(/^[a-z0-9-]+$/)
    .optional()
    .meta({ description: "Default: the worker's AWS_REGION, else us-east-1." }),
  pathStyle: z
    .boolean()
    .optional()
    .meta({ description: 'The bucket in the path, not in the host name; default true with an endpoint.' }),
  credentials: z
    .strictObject({
      accessKeyId: z.string().min(1),
      secretAccessKey: z
        .string()
        .regex(
          /\$\{env:/,
          'a secret must be a reference, ${env:PERENNIAL_SECRET_…}: what stands here is stored with the run',
        ),
      sessionToken: z
        .string()
        .regex(
          /\$\{env:/,
          'a secret must be a reference, ${env:PERENNIAL_SECRET_…}: what stands here is stored with the run',
        )
        .optional(),
    })
    .optional()
    .meta({ description: "Default: the worker's own, as the AWS SDK finds them." }),
  ...tableOptions,
});
export type S3Source = z.infer<typeof s3Source>;

/** A table of PostgreSQL, or the rows of one SELECT. */
export const postgresSource = z.strictObject({
  postgres: z
    .strictObject({
      url: z
        .string()
        .regex(/^(postgres(ql)?:\/\/|\$\{env:)/, 'an address such as postgres://reader@host:5432/database')
        .refine((url) => !holdsPassword(url), {
          error:
            'the password would be stored with the run; write the whole address, or password, as ${env:PERENNIAL_SECRET_…}',
        })
        .meta({
          description:
            'postgres://user@host:port/database?sslmode=verify-full, or a reference to a secret that holds all of it.',
        }),
      password: z
        .string()
        .regex(/^\$\{env:[A-Z0-9_]+\}$/, 'a reference, ${env:PERENNIAL_SECRET_…}')
        .optional(),
      table: z
        .string()
        .regex(/^[^.\0]+(\.[^.\0]+)?$/, 'table or schema.table')
        .optional()
        .meta({ description: 'table or schema.table' }),
      query: z.string().min(1).optional().meta({ description: "One SELECT, in PostgreSQL's words." }),
      orderBy: z.array(COLUMN).default([]).meta({
        description: 'Columns by which the rows are sorted; the rest follow. Default: all in turn.',
      }),
      timeout: duration.default('1h').meta({ description: 'After this the server stops the query.' }),
    })
    .refine((postgres) => (postgres.table === undefined) !== (postgres.query === undefined), {
      error: 'exactly one of table and query',
    }),
  ...shared,
});
export type PostgresSource = z.infer<typeof postgresSource>;

/** Rows that were pushed to an event log. */
export const eventsSource = z.strictObject({
  events: identifier.meta({ description: 'Name of an event log.' }),
  ...shared,
});
export type EventsSource = z.infer<typeof eventsSource>;

const anySource = z.union([fileSource, httpSource, s3Source, postgresSource, eventsSource]);

/** A source with all defaults. */
export type Source = z.output<typeof anySource>;
/** A source whose content is files. */
export type TextSource = FileSource | HttpSource | S3Source;

/** What a short form stands for. */
const shortForm = (text: string): Record<string, string> =>
  /^https?:\/\//i.test(text) ? { url: text } : /^s3:\/\//i.test(text) ? { s3: text } : { path: text };

/** A source as people write it: an object, or only its path, web address or S3 address. */
export const source = z.union([
  z
    .string()
    .min(1)
    .transform((text, context): Source => {
      if (/^postgres(ql)?:\/\//i.test(text)) {
        context.addIssue({ code: 'custom', message: 'write { postgres: { url, table } }' });
        return z.NEVER;
      }
      const parsed = anySource.safeParse(shortForm(text));
      if (parsed.success) return parsed.data;
      const issues = parsed.error.issues.flatMap((issue) =>
        issue.code === 'invalid_union' ? issue.errors.flat() : [issue],
      );
      const message = issues.find(
        (issue) => issue.code === 'invalid_format' || issue.code === 'custom',
      )?.message;
      context.addIssue({ code: 'custom', message: message ?? 'not a path or an address' });
      return z.NEVER;
    }),
  anySource,
]);

export const SOURCE_KINDS = ['file', 'http', 's3', 'postgres', 'events'] as const;
export const sourceKind = z.enum(SOURCE_KINDS);
export type SourceKind = z.infer<typeof sourceKind>;

/** @example kindOf({ url: 'https://example.org/a.csv', … }) === 'http' */
export function kindOf(source: Source): SourceKind {
  if ('path' in source) return 'file';
  if ('url' in source) return 'http';
  if ('s3' in source) return 's3';
  return 'postgres' in source ? 'postgres' : 'events';
}
