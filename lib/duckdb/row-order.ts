import { z } from 'zod';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { Database } from './database.ts';

/**
 * Operators that hand rows on in the order in which they come, also where several threads work: the engine promises it
 * of scans, projections, filters and UNION ALL (https://duckdb.org/docs/stable/sql/dialect/order_preservation).
 */
const IN_ORDER = new Set(['READ_PARQUET', 'PROJECTION', 'FILTER', 'UNION']);

interface Operator {
  name: string;
  children: Operator[];
}
const operator: z.ZodType<Operator> = z.object({
  name: z.string(),
  get children() {
    return z.array(operator);
  },
});

/**
 * Whether a query gives the same rows in the same order each time because it only passes on those of its Parquet
 * files: it neither joins nor groups nor sorts.
 *
 * @param query one SELECT
 * @param code the error code where the engine refuses it
 * @param what what it is, for the message
 * @example await keepsFileOrder(database, "SELECT *, a / b AS ratio FROM people WHERE b > 0") // true
 */
export async function keepsFileOrder(
  database: Database,
  query: string,
  code: ErrorCode = 'StageFailed',
  what = 'a query',
): Promise<boolean> {
  const { explain_value: plan } = await database.row(`EXPLAIN (FORMAT json) ${query}`, code, what);
  const inOrder = ({ name, children }: Operator): boolean => IN_ORDER.has(name) && children.every(inOrder);
  return z
    .array(operator)
    .parse(JSON.parse(String(plan)))
    .every(inOrder);
}
