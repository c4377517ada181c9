import type { Rule } from '../../contracts/spec/expectations.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { type CheckedTable, NUMBERS, requireFamily, typeOf } from './table.ts';

/** Makes the median absolute deviation of a normal distribution its standard deviation. */
const NORMAL = 1.4826;

/**
 * A condition for values outside of the fence: beyond k times the interquartile range from the quartiles (Tukey
 * 1977, k = 1.5), or a modified z-score above k, |x − median| / (1.4826 · MAD) (Iglewicz and Hoaglin 1993,
 * k = 3.5). Infinite values and NaN lie outside. Quartiles are interpolated. Where the spread is 0, every other
 * value than the middle lies outside.
 */
export async function outside(
  database: Database,
  rule: Rule<'outliers'>,
  table: CheckedTable,
  where: string,
): Promise<string> {
  requireFamily(table, rule.column, NUMBERS, where, 'outliers needs numbers');
  const floating = /^(DOUBLE|FLOAT)$/.test(typeOf(table, rule.column, where));
  const column = `CAST(${quoteIdent(rule.column)} AS DOUBLE)`;
  const values = `${table.from}${floating ? ` WHERE isfinite(${quoteIdent(rule.column)})` : ''}`;
  const one = (sql: string): Promise<Record<string, unknown>> => database.row(sql, 'ColumnInvalid', where);
  let fence: { low: number; high: number };
  if (rule.method === 'iqr') {
    const row = await one(
      `SELECT quantile_cont(${column}, 0.25) AS q1, quantile_cont(${column}, 0.75) AS q3 FROM ${values}`,
    );
    if (row.q1 === null) return 'false';
    const [q1, q3] = [Number(row.q1), Number(row.q3)];
    const reach = (rule.k ?? 1.5) * (q3 - q1);
    fence = { low: q1 - reach, high: q3 + reach };
  } else {
    const row = await one(`SELECT quantile_cont(${column}, 0.5) AS middle FROM ${values}`);
    if (row.middle === null) return 'false';
    const middle = Number(row.middle);
    const { mad } = await one(
      `SELECT quantile_cont(abs(${column} - ${double(middle)}), 0.5) AS mad FROM ${values}`,
    );
    const reach = (rule.k ?? 3.5) * NORMAL * Number(mad);
    fence = { low: middle - reach, high: middle + reach };
  }
  return `${column} < ${double(fence.low)} OR ${column} > ${double(fence.high)}`;
}

/** A literal that the engine reads as the same double. */
const double = (value: number): string => `'${value}'::DOUBLE`;
