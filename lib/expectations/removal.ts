import { isRowRule } from '../../contracts/spec/expectations.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { type Check, countOf, numberedBase } from './check.ts';
import type { Flags } from './flags.ts';
import { type CheckedTable, ROW } from './table.ts';
import { describeExpectation } from './words.ts';

const BAD = '__perennial_bad';

/** Files and counts of {@link removeRows}. */
export interface Removal {
  kept: string;
  /** Left out where no row went there. */
  quarantine?: string;
  dropped: number;
  quarantined: number;
}

const policyOf = ({ rule }: Check): string => (isRowRule(rule) ? rule.rows : 'stop');

/**
 * Writes the table without the rows that violate a rule of policy drop or quarantine, in file order, and those of
 * quarantine into a table of their own, with the column `reasons`: the names of all rules that the row violates.
 * The same rows give the same bytes.
 *
 * @param violated all row-wise checks that some row violates, those of policy stop too: they are reasons as well
 * @param rows of the table, at most 10^9 (the engine refuses wider bit strings)
 */
export async function removeRows(
  database: Database,
  table: CheckedTable,
  violated: readonly Check[],
  removing: readonly Check[],
  flags: Flags,
  rows: number,
  paths: { kept: string; quarantine: string },
): Promise<Removal> {
  const any = (checks: readonly Check[]): string =>
    checks.map((check) => `(${flags.condition(check)})`).join(' OR ') || 'false';
  const reasons = violated.map(
    (check) =>
      `CASE WHEN ${flags.condition(check)} THEN [${quoteLiteral(describeExpectation(check.rule))}] ELSE [] END`,
  );
  await database.run(
    `CREATE TEMP TABLE ${BAD} AS
     SELECT ${ROW}, flatten([${reasons.join(', ')}]) AS reasons,
       ${any(removing.filter((check) => policyOf(check) === 'quarantine'))} AS quarantined
     FROM ${numberedBase(table, violated)} WHERE ${any(removing)}`,
  );
  const counts = await database.row(
    `SELECT count(*) AS removed, count_if(quarantined) AS quarantined FROM ${BAD}`,
  );
  const quarantined = countOf(counts.quarantined);
  // A bit for each row: a join would not promise the order of the file, a constant does.
  await database.run(
    `SET VARIABLE __perennial_removed = (SELECT bitstring_agg(${ROW}, 0, ${Math.max(1, rows - 1)}) FROM ${BAD})`,
  );
  const columns = table.columns.map((column) => quoteIdent(column.name)).join(', ');
  await database.copyToParquet(
    `SELECT ${columns} FROM ${table.numbered}
     WHERE get_bit(getvariable('__perennial_removed'), CAST(${ROW} AS INTEGER)) = 0`,
    paths.kept,
  );
  if (quarantined > 0)
    await database.copyToParquet(
      `SELECT ${columns}, __perennial_reasons AS ${quoteIdent(reasonsName(table))}
       FROM ${table.numbered} JOIN (SELECT ${ROW}, reasons AS __perennial_reasons FROM ${BAD} WHERE quarantined) USING (${ROW}) ORDER BY ${ROW}`,
      paths.quarantine,
    );
  return {
    kept: paths.kept,
    ...(quarantined > 0 ? { quarantine: paths.quarantine } : {}),
    dropped: countOf(counts.removed) - quarantined,
    quarantined,
  };
}

/** The column of the reasons; a table with a column of that name gets another. */
function reasonsName(table: CheckedTable): string {
  const taken = new Set(table.columns.map((column) => column.name.toLowerCase()));
  let name = 'reasons';
  while (taken.has(name)) name = `${name}_`;
  return name;
}
