import type { TableRef } from '../../contracts/refs.ts';
import type { ExpectationResult } from '../../contracts/reports.ts';
import type { Expectation } from '../../contracts/spec/expectations.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { missingColumn } from './snapshot.ts';

const literal = (value: string | number | boolean): string =>
  typeof value === 'string' ? quoteLiteral(value) : String(value);

/** A quotient is rounded like the share that somebody wrote down: 29 of 100 are 0.29, while 0.29 · 100 is less than 29. */
const share = (count: number, rows: number): number => (rows === 0 ? 0 : count / rows);

/** The columns that an expectation speaks of. */
export const columnsOf = (rule: Expectation): string[] =>
  'columns' in rule ? rule.columns : 'column' in rule ? [rule.column] : [];

/** In words, for reports. */
export function describeExpectation(rule: Expectation): string {
  switch (rule.expect) {
    case 'not_null':
      return `not_null ${rule.column}`;
    case 'unique':
      return `unique ${rule.columns.join(', ')}`;
    case 'range':
      return `range ${rule.column} [${rule.min ?? '-∞'}, ${rule.max ?? '∞'}]`;
    case 'in_set':
      return `in_set ${rule.column} (${rule.values.length} values)`;
    case 'regex':
      return `regex ${rule.column}`;
    case 'row_count':
      return `row_count [${rule.min}, ${rule.max ?? '∞'}]`;
  }
}

/** An aggregate that counts violating rows. Missing values violate only `not_null`. */
function violations(rule: Exclude<Expectation, { expect: 'row_count' }>): string {
  switch (rule.expect) {
    case 'not_null':
      return `count(*) FILTER (WHERE ${quoteIdent(rule.column)} IS NULL)`;
    case 'unique': {
      // As in SQL's UNIQUE, a key with a missing part equals no other.
      const columns = rule.columns.map(quoteIdent);
      const whole = `FILTER (WHERE ${columns.map((column) => `${column} IS NOT NULL`).join(' AND ')})`;
      return `count(*) ${whole} - count(DISTINCT row(${columns.join(', ')})) ${whole}`;
    }
    case 'range': {
      const bounds = [
        ...(rule.min === undefined ? [] : [`${quoteIdent(rule.column)} < ${rule.min}`]),
        ...(rule.max === undefined ? [] : [`${quoteIdent(rule.column)} > ${rule.max}`]),
      ];
      return `count(*) FILTER (WHERE ${bounds.join(' OR ')})`;
    }
    case 'in_set':
      return `count(*) FILTER (WHERE ${quoteIdent(rule.column)} NOT IN (${rule.values.map(literal).join(', ')}))`;
    case 'regex':
      return `count(*) FILTER (WHERE NOT regexp_full_match(CAST(${quoteIdent(rule.column)} AS VARCHAR), ${quoteLiteral(rule.pattern)}))`;
  }
}

/**
 * Checks all expectations of a table in one scan.
 *
 * @param relation an SQL relation
 * @throws PerennialError `ColumnMissing`; a violated expectation is a result, not an error
 */
export async function checkExpectations(
  database: Database,
  relation: string,
  table: TableRef,
  rules: readonly Expectation[],
): Promise<ExpectationResult[]> {
  const known = table.columns.map((column) => column.name);
  for (const [index, rule] of rules.entries())
    for (const column of columnsOf(rule))
      if (!known.includes(column)) throw missingColumn(`expectations[${index}]`, column, known);

  const counted = rules.flatMap((rule, index) =>
    rule.expect === 'row_count' ? [] : [`${violations(rule)} AS v${index}`],
  );
  const row =
    counted.length > 0
      ? await database.row(`SELECT ${counted.join(', ')} FROM ${relation}`, 'ColumnInvalid', 'expectations')
      : {};
  return rules.map((rule, index) => {
    const shared = { expectation: describeExpectation(rule), severity: rule.severity, rows: table.rows };
    if (rule.expect === 'row_count') {
      const passed = table.rows >= rule.min && table.rows <= (rule.max ?? Number.POSITIVE_INFINITY);
      return { ...shared, passed, violations: passed ? 0 : 1 };
    }
    const count = Number(row[`v${index}`] ?? 0);
    return { ...shared, passed: share(count, table.rows) <= rule.maxShare, violations: count };
  });
}
