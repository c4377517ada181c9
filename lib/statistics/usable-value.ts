import type { ComparedColumn } from '../../contracts/distribution-report.ts';
import { quoteIdent } from '../duckdb/sql.ts';

/**
 * The value that statistics see of a column, in SQL: a number as DOUBLE, a moment as seconds since 1970 UTC, anything
 * else as it is. NaN is missing; infinities are values.
 */
export function usableValue({ name, kind }: ComparedColumn): string {
  const column = quoteIdent(name);
  if (kind === 'datetime') return `epoch(CAST(${column} AS TIMESTAMP))`;
  return kind === 'numeric' ? `nullif(CAST(${column} AS DOUBLE), 'NaN'::DOUBLE)` : column;
}
