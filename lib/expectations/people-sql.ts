import { PerennialError } from '../../contracts/errors.ts';
import { oneCondition, oneSelect } from '../data/join.ts';
import type { Database } from '../duckdb/database.ts';
import type { Finding } from './check.ts';
import { countOf } from './check.ts';
import type { CheckedTable } from './table.ts';

/** The joined table's name in people's SQL. */
export const JOINED = 'joined';

/** @throws PerennialError `SqlInvalid` unless the text is one condition on a row of the table */
export async function checkCondition(
  database: Database,
  condition: string,
  table: CheckedTable,
  where: string,
): Promise<void> {
  await oneCondition(database, condition, `SELECT * FROM ${table.from}`, where);
  const [column] = await database.columns(
    `(SELECT (${condition}\n) FROM ${table.from})`,
    'SqlInvalid',
    where,
  );
  if (column?.type !== 'BOOLEAN')
    throw new PerennialError(
      'SqlInvalid',
      `${where}: expected a condition that is true or false, found ${column?.type ?? 'nothing'}`,
    );
}

/** Counts the rows of a SELECT that gives the violating ones. */
export async function countQuery(database: Database, query: string, where: string): Promise<Finding> {
  const select = await oneSelect(database, query, where);
  const { violations } = await database.row(
    `SELECT count(*) AS violations FROM (${select}\n)`,
    'SqlInvalid',
    where,
  );
  return { violations: countOf(violations) };
}
