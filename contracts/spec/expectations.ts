import { z } from 'zod';
import { duration } from '../durations.ts';
import { customCheckRule } from './custom-check.ts';
import { distributionRule } from './distribution.ts';

const severity = z
  .enum(['error', 'warn'])
  .default('error')
  .meta({ description: 'error stops the run; warn is recorded in the report.' });

/** What every rule may say. */
const anyRule = {
  name: z
    .string()
    .min(1)
    .max(80)
    .optional()
    .meta({ description: 'How reports and the quarantine call the rule; by default its own words.' }),
  on: z
    .string()
    .optional()
    .meta({ description: 'The source whose snapshot is checked; by default the joined table.' }),
  severity,
};

/** What rules about single rows may say. */
const rowRule = {
  ...anyRule,
  rows: z.enum(['stop', 'drop', 'quarantine']).default('stop').meta({
    description:
      'What happens to violating rows as long as their share is accepted: stop leaves them in, drop removes them, quarantine moves them to a table with the reasons.',
  }),
  maxShare: z.number().min(0).max(1).optional().meta({
    description:
      'The share of violating rows that is still accepted, 0 to 1; by default 0, with drop, quarantine or outliers 0.01.',
  }),
};

const column = z.string().min(1);
const columns = z.array(column).min(1);
/** Bounds of a number. */
const bounds = { min: z.number().optional(), max: z.number().optional() };

/** A number, or a date or time for columns that hold dates. */
const bound = z.union([
  z.number(),
  z
    .string()
    .regex(
      /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?)?$/,
      'a number, a date such as 2013-07-01 or a time such as 2013-07-01T00:00:00Z',
    ),
]);

const bounded = (rule: { min?: unknown; max?: unknown }): boolean =>
  rule.min !== undefined || rule.max !== undefined;
const BOUNDED = { error: 'min, max or both' };

const aggregate = <const Name extends string>(name: Name) =>
  z.strictObject({ expect: z.literal(name), column, ...bounds, ...anyRule }).refine(bounded, BOUNDED);

/** `source.column`; a source is an SQL identifier, so the first dot parts the two. */
const reference = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\..+$/s, {
  error: 'source.column, for example carriers.code',
  abort: true,
});

const oneOrMore = <T extends z.ZodType<string>>(item: T) =>
  z.union([item, z.array(item).min(1)]).transform((value) => (typeof value === 'string' ? [value] : value));

/** A column's type: a family of types, or DuckDB's own name of one. */
const columnType = z.string().regex(/^[A-Za-z][A-Za-z0-9_ (),[\]]*$/, 'a type such as integer or VARCHAR');

const RULES = [
  z.strictObject({
    expect: z.literal('schema'),
    columns: z
      .record(
        column,
        z.union([
          columnType.transform((type) => ({ type, nullable: true })),
          z.strictObject({ type: columnType.optional(), nullable: z.boolean().default(true) }),
        ]),
      )
      .meta({
        description:
          'Each column with its type: integer, number, text, boolean, date, timestamp, or a DuckDB type.',
      }),
    unexpected: z
      .enum(['allow', 'refuse'])
      .default('allow')
      .meta({ description: 'Whether there may be columns that are not named here.' }),
    ...anyRule,
  }),
  z.strictObject({ expect: z.literal('not_null'), column, ...rowRule }),
  z.strictObject({ expect: z.literal('unique'), columns, ...rowRule }),
  z
    .strictObject({
      expect: z.literal('range'),
      column,
      min: bound.optional(),
      max: bound.optional(),
      ...rowRule,
    })
    .refine(bounded, BOUNDED),
  z.strictObject({
    expect: z.literal('in_set'),
    column,
    values: z.array(z.union([z.string(), z.number(), z.boolean()])).min(1),
    ...rowRule,
  }),
  z.strictObject({
    expect: z.literal('regex'),
    column,
    pattern: z.string().max(1000).meta({ description: 'RE2; the whole value must match.' }),
    ...rowRule,
  }),
  z
    .strictObject({
      expect: z.literal('length'),
      column,
      min: z.number().int().nonnegative().optional(),
      max: z.number().int().nonnegative().optional(),
      ...rowRule,
    })
    .refine(bounded, BOUNDED)
    .meta({ description: 'Characters (code points) of a text.' }),
  z.strictObject({
    expect: z.literal('row_count'),
    min: z.number().int().nonnegative().default(1),
    max: z.number().int().positive().optional(),
    ...anyRule,
  }),
  z.strictObject({
    expect: z.literal('freshness'),
    column,
    maxAge: duration.meta({
      description: 'How old the newest time may be when the run starts; later times do not count.',
    }),
    ...anyRule,
  }),
  z.strictObject({
    expect: z.literal('monotonic'),
    column,
    by: columns.optional().meta({ description: 'Within each group of these columns.' }),
    ...rowRule,
  }),
  z
    .strictObject({
      expect: z.literal('foreign_key'),
      column: oneOrMore(column),
      references: oneOrMore(reference).meta({ description: 'source.column, as many as columns.' }),
      ...rowRule,
    })
    .refine((rule) => rule.column.length === rule.references.length, {
      error: 'as many references as columns',
      path: ['references'],
    })
    .refine((rule) => new Set(rule.references.map((text) => text.split('.')[0])).size === 1, {
      error: 'all of one source',
      path: ['references'],
    }),
  aggregate('mean'),
  aggregate('median'),
  aggregate('sum'),
  aggregate('standard_deviation'),
  z
    .strictObject({
      expect: z.literal('quantile'),
      column,
      q: z.number().min(0).max(1),
      ...bounds,
      ...anyRule,
    })
    .refine(bounded, BOUNDED),
  z
    .strictObject({
      expect: z.literal('ratio'),
      where: z.string().min(1).meta({ description: 'An SQL condition on a row.' }),
      ...bounds,
      ...anyRule,
    })
    .refine(bounded, BOUNDED),
  z.strictObject({
    expect: z.literal('outliers'),
    column,
    method: z.enum(['iqr', 'mad']).default('iqr'),
    k: z.number().positive().optional().meta({ description: 'By default 1.5 for iqr, 3.5 for mad.' }),
    ...rowRule,
  }),
  z.strictObject({
    expect: z.literal('class_balance'),
    column: column.optional().meta({ description: 'By default the target.' }),
    minShare: z.number().gt(0).max(0.5).default(0.01),
    ...anyRule,
  }),
  z.strictObject({
    expect: z.literal('leakage'),
    columns: columns.optional().meta({ description: 'By default all features.' }),
    threshold: z.number().gt(0).max(1).default(0.98),
    severity,
    name: anyRule.name,
  }),
  z.strictObject({
    expect: z.literal('overlap'),
    by: z.enum(['entity', 'features']).default('features'),
    severity,
    name: anyRule.name,
    maxShare: z.number().min(0).max(1).default(0).meta({
      description: 'The share of validation and test rows that may also be in the training part.',
    }),
  }),
  z
    .strictObject({
      expect: z.literal('sql'),
      sql: z.string().min(1).optional().meta({
        description: 'A condition that is true for a good row; unknown (NULL) counts as good.',
      }),
      query: z.string().min(1).optional().meta({
        description: 'A SELECT over the table `joined` and the sources that gives the violating rows.',
      }),
      ...rowRule,
    })
    .refine((rule) => (rule.sql === undefined) !== (rule.query === undefined), {
      error: 'either sql (a condition) or query (a SELECT of violating rows)',
    })
    .refine((rule) => rule.query === undefined || (rule.rows === 'stop' && rule.on === undefined), {
      error:
        'a query cannot tell which rows of the table to remove, and names its own tables; use sql for rows or on',
      path: ['query'],
    }),
  distributionRule,
  customCheckRule,
] as const;

const anyExpectation = z.discriminatedUnion('expect', RULES);
export type Expectation = z.infer<typeof anyExpectation>;

/** A rule about single rows. */
export type RowRule = Extract<Expectation, { rows: string }>;
export const isRowRule = (rule: Expectation): rule is RowRule =>
  'rows' in rule && typeof rule.rows === 'string';

/** One statement about the data that must hold. Row-wise ones count violating rows. */
export const expectation = anyExpectation.refine(
  (rule) => !isRowRule(rule) || rule.on === undefined || rule.rows === 'stop',
  {
    error: 'rows can be removed from the joined table only; leave out on, or rows',
    path: ['rows'],
  },
);

/** The rule of one kind. */
export type Rule<Kind extends Expectation['expect']> = Extract<Expectation, { expect: Kind }>;

/** The share of violating rows that a row-wise rule accepts. */
export const ceilingOf = (rule: RowRule): number =>
  rule.maxShare ?? (rule.rows === 'stop' && rule.expect !== 'outliers' ? 0 : 0.01);
