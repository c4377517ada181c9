import { z } from 'zod';
import { personalKind } from '../privacy.ts';

/** Parts of a date that it can be cut down to. */
export const truncation = z.enum(['year', 'quarter', 'month', 'week', 'day', 'hour']);
export type Truncation = z.infer<typeof truncation>;

const simpleAction = z.enum(['keep', 'drop', 'mask', 'pseudonym']).meta({
  description:
    'keep: personal, kept on purpose; drop: the column goes; mask: a fixed token in place of each value; pseudonym: keyed, the same person has the same one everywhere.',
});

/** Actions that make a value coarser. One object, so that a mistake inside of it is told as one. */
const generalisation = z
  .strictObject({
    truncate: truncation
      .optional()
      .meta({ description: 'Dates and times: cut down to this, for example year.' }),
    bins: z
      .array(z.number())
      .min(2)
      .max(1000)
      .refine((edges) => edges.every((edge, i) => i === 0 || edge > (edges[i - 1] ?? edge)), {
        error: 'the edges rise, for example [0, 18, 30]',
      })
      .optional()
      .meta({ description: 'Numbers: becomes a label such as [18,30), also <0 and >=70.' }),
    round: z.number().positive().optional().meta({ description: 'Numbers: to the nearest multiple of it.' }),
    prefix: z
      .number()
      .int()
      .min(1)
      .max(64)
      .optional()
      .meta({ description: 'Text: the first characters stay, for example 3 of a postal code.' }),
    topCode: z.number().optional().meta({ description: 'Numbers: greater ones become this one.' }),
    bottomCode: z
      .number()
      .optional()
      .meta({ description: 'Numbers: smaller ones become this one; also beside topCode.' }),
  })
  .refine(
    ({ truncate, bins, round, prefix, topCode, bottomCode }) =>
      [truncate, bins, round, prefix, topCode ?? bottomCode].filter((part) => part !== undefined).length ===
      1,
    { error: 'exactly one of truncate, bins, round, prefix, or topCode and bottomCode' },
  )
  .refine(
    ({ topCode, bottomCode }) => topCode === undefined || bottomCode === undefined || bottomCode < topCode,
    { error: 'bottomCode is less than topCode' },
  );

/** What is done to a personal column. */
export const privacyAction = z.union([simpleAction, generalisation]);
export type PrivacyAction = z.infer<typeof privacyAction>;

const personalColumn = z.strictObject({
  kind: personalKind.optional().meta({
    description: 'What it holds; decides how values are made alike before they become pseudonyms.',
  }),
  action: privacyAction,
  region: z
    .string()
    .regex(/^[A-Z]{2}$/, 'a country of ISO 3166 such as DE')
    .optional()
    .meta({ description: 'phone: the country of numbers that are written without one.' }),
});

const policy = z.enum(['stop', 'warn', 'off']);
const names = z
  .union([z.string().min(1), z.array(z.string().min(1))])
  .transform((value) => (typeof value === 'string' ? [value] : value));

/**
 * The `privacy:` part of the pipeline spec: which columns are personal and what becomes of them. Detection runs
 * also where it is left out.
 *
 * @example
 * privacy:
 *   subject: customer_id
 *   columns: { email: { kind: email, action: pseudonym }, name: drop, birthday: { action: { truncate: year } } }
 *   pseudonymKey: ${env:PERENNIAL_SECRET_PSEUDONYM_KEY}
 *   kAnonymity: { quasiIdentifiers: [zip, age], min: 5 }
 */
export const privacySpec = z
  .strictObject({
    subject: names.default([]).meta({
      description: 'Columns that identify the person, for erasure: of columns.entity or of privacy.columns.',
    }),
    subjectIn: z
      .record(z.string(), z.record(z.string(), z.string().min(1)))
      .default({})
      .meta({
        description:
          'Where a source calls a column of subject otherwise, by source: { orders: { customer_id: cust } }.',
      }),
    columns: z
      .record(
        z.string(),
        z.union([simpleAction.transform((action) => personalColumn.parse({ action })), personalColumn]),
      )
      .default({})
      .meta({ description: 'The personal columns by name: an action, or { kind, action }.' }),
    pseudonymKey: z
      .string()
      .regex(
        /^\$\{env:PERENNIAL_SECRET_[A-Z0-9_]+\}$/,
        'the reference of a secret, ${env:PERENNIAL_SECRET_NAME}; never the key itself',
      )
      .optional()
      .meta({ description: 'The key of pseudonyms, by reference.' }),
    keyVersion: z
      .string()
      .regex(/^[a-z0-9]{1,16}$/, 'at most 16 small letters and digits, such as v1')
      .default('v1')
      .meta({ description: 'Stands in each pseudonym; raise it with each new key.' }),
    detection: z
      .strictObject({
        verified: policy
          .default('stop')
          .meta({ description: 'Undeclared findings by checksum or strict format.' }),
        likely: policy
          .default('warn')
          .meta({ description: 'Undeclared findings by names, words and ranges.' }),
        minConfidence: z.number().min(0).max(1).default(0.5),
      })
      .prefault({}),
    kAnonymity: z
      .strictObject({
        quasiIdentifiers: z
          .array(z.string().min(1))
          .min(1)
          .max(50)
          .refine((list) => new Set(list).size === list.length, { error: 'a column stands twice' })
          .meta({ description: 'Columns that together could point at a person.' }),
        min: z
          .number()
          .int()
          .min(2)
          .default(5)
          .meta({ description: 'Rows that must share each combination.' }),
        onViolation: z.enum(['stop', 'warn']).default('stop'),
      })
      .optional(),
  })
  .prefault({})
  .meta({ description: 'Personal columns and what becomes of them; detection runs in any case.' });
export type PrivacySpec = z.output<typeof privacySpec>;
/** One entry of `privacy.columns`. */
export type PersonalColumn = PrivacySpec['columns'][string];
