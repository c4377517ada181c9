import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { pseudonymText } from '../privacy/action-sql.ts';
import { normalFormSql } from '../privacy/normal-form.ts';
import { registerPhoneForm } from '../privacy/pseudonym.ts';
import type { Person } from './person.ts';
import type { SubjectColumn } from './subject-column.ts';

const VARIABLE = 'perennial_person';

/**
 * The rows of a Parquet file that are about a person, counted from 0, ascending. Raw values are compared in their
 * normal form, so that `Ann@Example.com ` and `ann@example.com` are one. The person is bound to session variables: no
 * statement, and so no error, can quote the id.
 *
 * @param columns from `person.columnsOf`, not empty
 * @throws PerennialError `SecretMissing` where the key of pseudonyms cannot be had, `ColumnInvalid` for lists and the
 *   like, `ColumnMissing` where the table is another one than was recorded
 */
export async function personRows(
  database: Database,
  path: string,
  columns: readonly SubjectColumn[],
  person: Person,
): Promise<number[]> {
  const values = columns.map((column) => person.valueIn(column));
  const types = new Map(
    (await database.columns(`read_parquet(${quoteLiteral(path)})`)).map(({ name, type }) => [name, type]),
  );
  const conditions = columns.map(
    (column, i) =>
      `${comparedSql(database, column, types.get(column.column) ?? 'VARCHAR')} = getvariable('${VARIABLE}_${i}')`,
  );
  try {
    for (const [i, value] of values.entries())
      await database.connection.run(`SET VARIABLE ${VARIABLE}_${i} = $1`, [value]);
    const rows = await database.rows(
      `SELECT file_row_number AS n FROM read_parquet(${quoteLiteral(path)}, file_row_number = true)
       WHERE ${conditions.join(' OR ')} ORDER BY n`,
      'ColumnMissing',
      'the columns that identify people',
    );
    return rows.map(({ n }) => Number(n));
  } finally {
    for (const i of values.keys()) await database.run(`RESET VARIABLE ${VARIABLE}_${i}`);
  }
}

/** What of a column is compared with `person.valueIn`. */
export function comparedSql(database: Database, column: SubjectColumn, type: string): string {
  if (column.key !== undefined) return `CAST(${quoteIdent(column.column)} AS VARCHAR)`;
  const text = pseudonymText({ name: column.column, type, declared: { action: 'keep' } });
  return normalFormSql(
    text,
    column.kind,
    column.kind === 'phone' ? registerPhoneForm(database, column.region) : '',
  );
}
