import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { personalKind } from '../../contracts/privacy.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { Secrets } from '../secrets.ts';

/** The key of a column of pseudonyms. */
const pseudonymKey = z.strictObject({
  /** `${env:PERENNIAL_SECRET_…}`; never the key itself. */
  reference: z.string(),
  version: z.string(),
  /** Tells whether a key is the one that the pseudonyms were made with. */
  check: z.string(),
});

/** A column of a stored table that identifies the person. */
export const subjectColumn = z.strictObject({
  column: z.string(),
  /** The name under `privacy.subject`, where the table calls it otherwise. */
  subject: z.string(),
  kind: personalKind.optional(),
  region: z.string().optional(),
  /** Where the column holds pseudonyms, and not the values themselves. */
  key: pseudonymKey.optional(),
});
export type SubjectColumn = z.infer<typeof subjectColumn>;

/** The part of a spec that says who a row is about. */
export type SubjectSpec = Pick<PipelineSpec, 'name' | 'privacy'>;

/** Where a table stands in the run: before the actions of `privacy.columns`, or after them. */
export type TableState = { state: 'raw'; source?: string } | { state: 'protected'; secrets: Secrets };

/** Says nothing of a key, but tells it from others. */
export const keyCheck = (key: string): string =>
  createHmac('sha256', key).update('perennial check of a pseudonym key').digest('hex').slice(0, 16);

/**
 * The columns of a table that identify the person: those of `privacy.subject` that it has, in a source also under the
 * name that `privacy.subjectIn` gives.
 *
 * @param columns the names of the table's columns
 * @throws PerennialError `SecretMissing` for a protected table whose key cannot be had
 * @example
 * subjectColumns(spec, ['cust', 'amount'], { state: 'raw', source: 'orders' })
 * // [{ column: 'cust', subject: 'customer_id' }]
 */
export function subjectColumns(
  { privacy }: Pick<SubjectSpec, 'privacy'>,
  columns: readonly string[],
  table: TableState,
): SubjectColumn[] {
  return privacy.subject.flatMap((subject): SubjectColumn[] => {
    const column =
      (table.state === 'raw' && table.source !== undefined
        ? privacy.subjectIn[table.source]?.[subject]
        : undefined) ?? subject;
    if (!columns.includes(column)) return [];
    const declared = Object.hasOwn(privacy.columns, subject) ? privacy.columns[subject] : undefined;
    const { pseudonymKey: reference, keyVersion: version } = privacy;
    const pseudonyms =
      table.state === 'protected' && declared?.action === 'pseudonym' && reference !== undefined;
    return [
      {
        column,
        subject,
        ...(declared?.kind ? { kind: declared.kind } : {}),
        ...(declared?.region ? { region: declared.region } : {}),
        ...(pseudonyms
          ? { key: { reference, version, check: keyCheck(table.secrets.resolve(reference)) } }
          : {}),
      },
    ];
  });
}
