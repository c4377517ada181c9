import type { Database } from '../duckdb/database.ts';
import { base, type Check, countOf, type Finding } from './check.ts';
import type { CheckedTable } from './table.ts';

/** Statements that read a table's rows; what is answered from a file's footer does not count. */
export interface ScanCount {
  scans: number;
}

const select = (table: CheckedTable, checks: readonly Check[]): string => {
  const items = checks.flatMap((check) =>
    check.aggregates.map((sql, k) => `${sql} AS __perennial_a${check.index}_${k}`),
  );
  return `SELECT ${['count(*) AS __perennial_rows', ...items].join(', ')} FROM ${base(table, checks)}`;
};

/**
 * Judges all checks of one table: one scan for all that conditions and aggregates can tell, and a statement for
 * each of the rest.
 *
 * @throws PerennialError that names the rule which the engine refuses
 */
export async function scanTable(
  database: Database,
  table: CheckedTable,
  checks: readonly Check[],
  count: ScanCount,
): Promise<{ rows: number; findings: Map<number, Finding> }> {
  const sql = select(table, checks);
  count.scans += 1;
  const row = await database
    .row(sql, 'ColumnInvalid', 'expectations')
    .catch((error: unknown) => culprit(database, table, checks, error));
  const rows = countOf(row.__perennial_rows);
  const findings = new Map<number, Finding>();
  for (const check of checks) {
    const values = check.aggregates.map((_, k) => row[`__perennial_a${check.index}_${k}`] ?? null);
    let finding = check.judge?.(values, rows);
    if (!finding && check.statement) {
      count.scans += 1;
      finding = await check.statement(database);
    }
    findings.set(check.index, finding ?? { violations: 0 });
  }
  return { rows, findings };
}

/** The engine refused the scan: each check alone tells whose fault it is. */
async function culprit(
  database: Database,
  table: CheckedTable,
  checks: readonly Check[],
  error: unknown,
): Promise<never> {
  if (error instanceof Error && /^INTERRUPT/i.test(error.message)) throw error;
  for (const check of checks)
    if (check.aggregates.length > 0)
      await database.row(
        select(table, [check]),
        'sql' in check.rule || 'where' in check.rule ? 'SqlInvalid' : 'ColumnInvalid',
        check.where,
      );
  throw error;
}
