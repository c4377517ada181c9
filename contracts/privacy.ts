import { z } from 'zod';

/** What personal data a column can hold. */
export const personalKind = z.enum([
  'email',
  'phone',
  'iban',
  'card',
  'national_id',
  'ip_address',
  'date_of_birth',
  'person_name',
  'address',
]);
export type PersonalKind = z.infer<typeof personalKind>;

/** Findings of one table at the most; the least certain ones go first where there are more. */
export const MAX_FINDINGS = 200;

/**
 * What was found in one column. It holds no value of the data, so it may travel through workflow histories.
 *
 * @example
 * { column: 'contact', kind: 'email', confidence: 1, share: 0.98, verified: true, within: 'value',
 *   evidence: '9800 of 10000 looked-at values are e-mail addresses' }
 */
export const personalFinding = z.strictObject({
  column: z.string(),
  kind: personalKind,
  confidence: z.number().min(0).max(1).meta({
    description: 'How sure it is that the column holds this kind, 0 to 1; not the share of its values.',
  }),
  share: z.number().min(0).max(1).meta({
    description: "Share of the column's present values that hold it, estimated where values were sampled.",
  }),
  verified: z.boolean().meta({
    description: 'By checksum or strict format; otherwise by names, words and ranges, which can be wrong.',
  }),
  within: z.enum(['value', 'text']).meta({
    description: 'value: the whole value is such a thing; text: it stands inside of longer texts.',
  }),
  evidence: z.string().max(240).meta({ description: 'In words, without values.' }),
});
export type PersonalFinding = z.infer<typeof personalFinding>;

/** k-anonymity of a table over its quasi-identifiers (Samarati and Sweeney, 1998). */
export const anonymityResult = z.strictObject({
  quasiIdentifiers: z.array(z.string()).min(1),
  k: z
    .number()
    .int()
    .nonnegative()
    .meta({ description: 'Rows of the smallest equivalence class; 0 for no rows.' }),
  min: z.number().int().positive(),
  classes: z.number().int().nonnegative(),
  classesBelow: z.number().int().nonnegative().meta({ description: 'Classes with fewer than `min` rows.' }),
  rows: z.number().int().nonnegative(),
  rowsBelow: z.number().int().nonnegative(),
  shareBelow: z.number().min(0).max(1).meta({ description: 'Share of rows in classes below `min`.' }),
});
export type AnonymityResult = z.infer<typeof anonymityResult>;

/** What {@link protectedTable} did to one column. */
export const protectedColumn = z.strictObject({
  column: z.string(),
  action: z.string().meta({ description: 'In words, for example "truncated to year".' }),
  type: z.string().nullable().meta({ description: 'The SQL type afterwards; null where it was dropped.' }),
});
export type ProtectedColumn = z.infer<typeof protectedColumn>;

/** A table after the actions of `privacy.columns`. */
export const protectedTable = z.strictObject({
  rows: z.number().int().nonnegative(),
  columns: z.array(z.strictObject({ name: z.string(), type: z.string() })),
  actions: z.array(protectedColumn),
});
export type ProtectedTable = z.infer<typeof protectedTable>;

/** What the policy says about findings: reasons to stop, and things to know. */
export const privacyVerdict = z.strictObject({ stop: z.array(z.string()), warn: z.array(z.string()) });
export type PrivacyVerdict = z.infer<typeof privacyVerdict>;
