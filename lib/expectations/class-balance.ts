import type { Rule } from '../../contracts/spec/expectations.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { countOf, type Finding } from './check.ts';
import type { CheckedTable } from './table.ts';
import { percent } from './words.ts';

/** The share of the rarest class among the rows that have one. */
export async function classBalance(
  database: Database,
  rule: Rule<'class_balance'>,
  table: CheckedTable,
  column: string,
  where: string,
): Promise<Finding> {
  const name = quoteIdent(column);
  const row = await database.row(
    `SELECT count(*) AS classes, min(n) AS least, sum(n) AS total
     FROM (SELECT count(*) AS n FROM ${table.from} WHERE ${name} IS NOT NULL GROUP BY ${name})`,
    'ColumnInvalid',
    where,
  );
  const classes = countOf(row.classes);
  if (classes === 0) return { violations: 0, passed: true, note: 'there is no value to judge' };
  const share = countOf(row.least) / countOf(row.total);
  const passed = classes > 1 && share >= rule.minShare;
  return {
    violations: passed ? 0 : 1,
    passed,
    value: classes > 1 ? share : 0,
    observed:
      classes > 1 ? `the rarest of ${classes} classes has ${percent(share)}` : 'there is only one class',
  };
}
