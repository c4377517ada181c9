import type { AnonymityResult } from '../../contracts/privacy.ts';
import { missingColumn } from '../data/missing-column.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';

/**
 * k-anonymity: how many rows share the rarest combination of the quasi-identifiers. A missing value is a value of
 * its own.
 *
 * Method: P. Samarati, L. Sweeney, "Protecting Privacy when Disclosing Information: k-Anonymity and its Enforcement
 * through Generalization and Suppression", SRI International, 1998. It says nothing about what the rows of a class
 * have in common otherwise (l-diversity).
 *
 * @param relation an SQL relation, after all actions
 * @param min rows that each combination should have
 * @throws PerennialError `ColumnMissing`
 * @example
 * const { k } = await kAnonymity(database, 'people', columns, ['zip', 'age'], 5);
 */
export async function kAnonymity(
  database: Database,
  relation: string,
  columns: readonly { name: string }[],
  quasiIdentifiers: readonly string[],
  min: number,
): Promise<AnonymityResult> {
  const known = columns.map((column) => column.name);
  for (const name of quasiIdentifiers)
    if (!known.includes(name)) throw missingColumn('privacy.kAnonymity.quasiIdentifiers', name, known);
  const keys = quasiIdentifiers.map(quoteIdent).join(', ');
  const row = await database.row(
    `SELECT coalesce(min(n), 0) AS k, count(*) AS classes, count(*) FILTER (WHERE n < ${min}) AS classes_below,
       coalesce(sum(n), 0)::BIGINT AS all_rows, coalesce(sum(n) FILTER (WHERE n < ${min}), 0)::BIGINT AS rows_below
     FROM (SELECT count(*) AS n FROM ${relation} GROUP BY ${keys})`,
    'ColumnInvalid',
    'privacy.kAnonymity',
  );
  const rows = Number(row.all_rows);
  const rowsBelow = Number(row.rows_below);
  return {
    quasiIdentifiers: [...quasiIdentifiers],
    k: Number(row.k),
    min,
    classes: Number(row.classes),
    classesBelow: Number(row.classes_below),
    rows,
    rowsBelow,
    shareBelow: rows === 0 ? 0 : rowsBelow / rows,
  };
}
