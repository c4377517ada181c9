import type { Rule } from '../../contracts/spec/expectations.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { type Check, countOf } from './check.ts';
import { type CheckedTable, NUMBERS, ROW, requireFamily, TIMES, typeOf } from './table.ts';

/**
 * `monotonic`: in file order no value is less than one before it, so that what remains when the violating rows go
 * is in order. Missing values are passed over; NaN counts as greatest.
 */
export function monotonic(
  database: Database,
  rule: Rule<'monotonic'>,
  table: CheckedTable,
  where: string,
): Pick<Check, 'statement' | 'flagged'> {
  requireFamily(table, rule.column, [...NUMBERS, ...TIMES], where, 'monotonic needs times or numbers');
  for (const column of rule.by ?? []) typeOf(table, column, where);
  const column = quoteIdent(rule.column);
  // An empty window streams through the file in its order; a partition has to be sorted.
  const window = rule.by
    ? `PARTITION BY ${rule.by.map(quoteIdent).join(', ')} ORDER BY ${ROW} ROWS UNBOUNDED PRECEDING`
    : 'ROWS UNBOUNDED PRECEDING';
  const rows = (from: string, selected: string): string =>
    `SELECT ${selected} FROM (SELECT *, max(${column}) OVER (${window}) AS __perennial_greatest FROM ${from})
     WHERE ${column} < __perennial_greatest`;
  return {
    statement: async () => {
      const sql = rows(rule.by ? table.numbered : table.from, 'count(*) AS violations');
      return { violations: countOf((await database.row(sql, 'ColumnInvalid', where)).violations) };
    },
    flagged: rows(table.numbered, ROW),
  };
}
