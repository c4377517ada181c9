import type { ExpectationResult } from '../../contracts/reports.ts';
import type { Expectation } from '../../contracts/spec/expectations.ts';
import { missingColumn } from '../data/missing-column.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { countOf } from './check.ts';
import { resultOf } from './result.ts';
import { describeExpectation } from './words.ts';

/** What {@link checkOverlap} compares. */
export interface OverlapTask {
  rules: readonly Expectation[];
  /** Parquet files of the split's parts. */
  parts: { train: string; validation: string; test: string };
  columns: readonly { name: string }[];
  features: readonly string[];
  /** Columns that identify a row; may be empty. */
  entity: readonly string[];
}

/**
 * Judges the `overlap` rules after the split: rows of the validation and test parts whose feature values (or
 * entity) also occur in the training part. A missing value equals a missing value among features; an entity with a
 * missing part is nobody's.
 *
 * @returns a result for each overlap rule, in their order; a rule by entity without one holds, and says so
 * @throws PerennialError `ColumnMissing`
 */
export async function checkOverlap(database: Database, task: OverlapTask): Promise<ExpectationResult[]> {
  const results: ExpectationResult[] = [];
  for (const [index, rule] of task.rules.entries()) {
    if (rule.expect !== 'overlap') continue;
    const where = `expectations[${index}] ${describeExpectation(rule)}`;
    const keys = rule.by === 'entity' ? task.entity : task.features;
    const known = task.columns.map((column) => column.name);
    for (const key of keys) if (!known.includes(key)) throw missingColumn(where, key, known);
    if (keys.length === 0) {
      results.push(resultOf(rule, { violations: 0, passed: true, note: `there is no ${rule.by}` }, 0));
      continue;
    }
    const { parts } = task;
    const [validation, test] = [await shared('validation'), await shared('test')];
    const violations = validation.both + test.both;
    const rows = validation.rows + test.rows;
    results.push({
      ...resultOf(
        rule,
        {
          violations,
          passed: rows === 0 || violations / rows <= rule.maxShare,
          value: rows === 0 ? null : violations / rows,
          observed: `also in train: ${validation.both} of ${validation.rows} rows of validation, ${test.both} of ${test.rows} of test`,
        },
        rows,
      ),
      columns: [...keys],
    });

    async function shared(part: 'validation' | 'test'): Promise<{ both: number; rows: number }> {
      const file = (path: string): string => `read_parquet(${quoteLiteral(path)})`;
      const names = keys.map(quoteIdent);
      const equal = rule.expect === 'overlap' && rule.by === 'entity' ? '=' : 'IS NOT DISTINCT FROM';
      const row = await database.row(
        `SELECT (SELECT count(*) FROM ${file(parts[part])}) AS rows, count(*) AS both
         FROM ${file(parts[part])} AS a SEMI JOIN (SELECT DISTINCT ${names.join(', ')} FROM ${file(parts.train)}) AS b
         ON ${names.map((name) => `a.${name} ${equal} b.${name}`).join(' AND ')}`,
        'ColumnInvalid',
        where,
      );
      return { both: countOf(row.both), rows: countOf(row.rows) };
    }
  }
  return results;
}
